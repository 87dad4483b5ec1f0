"use strict"
// The outer layer of a .sdc file, as codec/FORMAT.md has it: header, sections, checksum, image sequences, metadata.
// Checks come in its order, and say what the reader in Python says.

const SIGNATURE = [0x93, 0x53, 0x44, 0x43, 0x0d, 0x0a, 0x1a]
const HEADER_END = 20
const SMALLEST = 32
const MAX_FILE = 32 << 20
const MAX_SECTIONS = 52
const MAX_METADATA = 512 << 10
const LATENT_FORMATS = [
  ["SD1.x", 4, 8], ["SDXL", 4, 8], ["SD3", 16, 8], ["Flux", 16, 8], ["Flux2", 128, 16], ["Wan21", 16, 8],
  ["Wan22", 48, 16], ["HunyuanVideo", 16, 8], ["HunyuanVideo15", 32, 16], ["HunyuanImage21", 64, 32],
  ["HunyuanImage21Refiner", 32, 16], ["LTXV", 128, 32], ["LTXAV", 128, 32], ["Mochi", 12, 8],
  ["Cosmos1CV8x8x8", 16, 8], ["CogVideoX", 16, 8], ["SeedVR2", 16, 8], ["MiniMaxH3Video", 24, 16],
  ["SC_Prior", 16, 42], ["SC_B", 4, 4], ["SD_X4", 4, 4],
].map(([name, channels, factor]) => ({ name, channels, factor }))
const UNKNOWN_FORMAT = { name: "unknown", channels: undefined, factor: 8 } // number 0, of any number of channels
const FRAMES = "T".charCodeAt(0) // tag of the section that belongs to the header
const SEQUENCE_CODER = 3
const ARCHIVE_CODER = 4
const CODER_NAMES = ["fixed", "zstd", "learned", "image sequence", "archive"]
const REQUIRED = ["PI", "PI", "L", "A", "N"]
const OF_FILES = [0, 1, 2, 3, 4] // coders
const OF_IMAGES = [0, 1, 2, 4]

const isLower = (tag) => tag >= "a" && tag <= "z"

const crcTable = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let i = 0; i < 8; i++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

function crc32(data) {
  let crc = 0xffffffff
  for (let i = 0; i < data.length; i++) crc = (crc >>> 8) ^ crcTable[(crc ^ data[i]) & 255]
  return ~crc >>> 0
}

function checkStart(data) {
  const start = data.subarray(0, SIGNATURE.length)
  if (start.some((byte, i) => byte !== SIGNATURE[i])) {
    let reason = "another kind of file may have the same extension"
    if (start.subarray(0, 4).every((byte, i) => byte === SIGNATURE[i]) && start.length >= 4) {
      reason = "it was changed by a transfer in text mode; send it again as a binary file"
    } else if (hex(start.subarray(0, 4)) === "d0cf11e0") {
      reason = "it looks like a StarOffice Calc document, which has the same extension"
    }
    throw formatError(`not an SDC file: it starts with ${hex(start, " ")}, not ${hex(SIGNATURE, " ")}; ${reason}`)
  }
  if (data.length > 7 && data[7] !== 1) {
    throw unsupported(`the file has format version ${data[7]}; this reader knows version 1 alone, update it`)
  }
  if (data.length < SMALLEST) {
    throw formatError(`the file has ${data.length} bytes; even the smallest has ${SMALLEST}, fetch it again`)
  }
}

// [tag byte, payload] of each section from `at` to the end; `tooLong` gives the error for one that goes beyond.
function splitSections(data, at, end, tooLong) {
  const found = []
  while (at < end) {
    if (found.length === MAX_SECTIONS) {
      throw formatError(`there are more than ${MAX_SECTIONS} sections; there are no more tags than that`)
    }
    const start = at + 4
    const after = start + littleEndian(data.subarray(at + 1, Math.min(start, data.length)), 0, 3)
    if (start > end || after > end) throw tooLong(at, Math.max(start, after))
    found.push([data[at], data.subarray(start, after)])
    at = after
  }
  return found
}

function checkOrder(tags, coder, coders) {
  tags.forEach((tag, place) => {
    if (!/[A-Za-z]/.test(String.fromCharCode(tag))) {
      const byte = `0x${tag.toString(16).padStart(2, "0")}`
      throw formatError(`section ${place} has the tag byte ${byte}; tags are ASCII letters`)
    }
  })
  const names = tags.map((tag) => String.fromCharCode(tag))
  const needed = names.filter((name) => !isLower(name))
  const known = [...new Set(`T${coders.map((number) => REQUIRED[number]).join("")}`)].sort()
  const unknown = needed.filter((name) => !known.includes(name)).sort()
  if (unknown.length) {
    throw unsupported(
      `the file cannot be read without section '${unknown[0]}', which came after this reader; it knows ` +
        `${known.slice(0, -1).join(", ")} and ${known.at(-1)}, update it`,
    )
  }
  if (!coders.includes(coder)) {
    const all = coders.map((number) => `${number} (${CODER_NAMES[number]})`)
    throw unsupported(
      `the file uses coder ${coder}, which came after this reader; it knows ${all.slice(0, -1).join(", ")} and ` +
        `${all.at(-1)}, update it`,
    )
  }
  const required = REQUIRED[coder]
  const sound = names.slice(0, required.length).join("") === required && needed.length === required.length
  if (!sound || new Set(names).size !== names.length) {
    throw formatError(
      `the sections are '${names.join("")}'; they must be ${[...required].join(", ")}, then optional ones, each at ` +
        "most once",
    )
  }
}

function checkHeader(header, maxPixels) {
  const format = header.formatId === 0 ? UNKNOWN_FORMAT : LATENT_FORMATS[header.formatId - 1]
  if (!format) {
    throw unsupported(
      `the file uses latent format ${header.formatId}, which came after this reader; ` +
        `it knows 0 to ${LATENT_FORMATS.length}, update it`,
    )
  }
  if (header.images === 0) throw formatError("the header says that the file holds no image")
  if (format === UNKNOWN_FORMAT) header.channels ||= 256
  else if (header.channels !== format.channels) {
    throw formatError(`the header says ${header.channels} channels; ${format.name} has ${format.channels}`)
  }
  if (header.frames === 0) {
    throw formatError("section T does not say in 2 bytes how many frames the latent has, which is 1 or more")
  }
  const { latentHeight, latentWidth, width, height, images } = header
  if (!(latentHeight && latentWidth && width && height)) {
    throw formatError(
      `the header has an empty size: latent ${latentWidth} x ${latentHeight}, image ${width} x ${height}`,
    )
  }
  const area = latentHeight * latentWidth * Math.max(format.factor ** 2, 2 * header.channels)
  const pixels = images * (header.frames ?? 1) * Math.max(area, width * height)
  if (pixels > maxPixels) {
    const found = images === 1 ? "image has" : `${images} images have`
    throw new SdcError(
      "SdcLimitError",
      `the ${found} ${pixels} pixels and ${maxPixels} are allowed; raise max_pixels if you trust the file`,
    )
  }
  return format
}

// A checked header, and payloads by tag.
function parseFile(data, maxPixels) {
  if (data.length > MAX_FILE) {
    throw new SdcError(
      "SdcLimitError", `there are more than ${MAX_FILE} bytes, and no .sdc file has that many`,
    )
  }
  checkStart(data)
  const sections = splitSections(data, HEADER_END, data.length - 4, (_, needed) =>
    formatError(
      `the file is incomplete (${data.length} of at least ${needed + 4} bytes). Download or copy it again`,
    ),
  )
  const stored = littleEndian(data, data.length - 4, 4)
  const actual = crc32(data.subarray(0, -4))
  if (stored !== actual) {
    const [found, said] = [actual, stored].map((crc) => crc.toString(16).padStart(8, "0"))
    throw new SdcError(
      "SdcChecksumError",
      `the checksum is ${found} but the file says ${said}: it was damaged after it was written, fetch it again from ` +
        "where it came",
    )
  }
  const [latentHeight, latentWidth, width, height] = [10, 12, 14, 16].map((at) => littleEndian(data, at, 2))
  const header = {
    formatId: data[8], channels: data[9], latentHeight, latentWidth, width, height, images: data[18], coder: data[19],
  }
  if (sections[0]?.[0] === FRAMES) {
    const [[, payload]] = sections.splice(0, 1)
    header.frames = payload.length === 2 ? littleEndian(payload, 0, 2) : 0
  }
  header.format = checkHeader(header, maxPixels)
  checkOrder(sections.map(([tag]) => tag), header.coder, OF_FILES)
  if ((header.coder === SEQUENCE_CODER) !== header.images > 1) {
    throw formatError(
      `the header says ${header.images} images by coder ${header.coder}; coder ${SEQUENCE_CODER} is for 2 to 255 ` +
        "images and every other one for 1",
    )
  }
  return { header, sections: new Map(sections.map(([tag, payload]) => [String.fromCharCode(tag), payload])) }
}

// Do `work` for one image of several; an error says which.
function atFault(number, count, work) {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof SdcError)) throw error
    throw new SdcError(error.kind, `image ${number} of ${count}: ${error.message}`)
  }
}

// { coder, sections } of each image in section A, those of the whole file included, palettes found.
function splitSequence(payload, count, shared) {
  const parts = []
  let at = 0
  let palette
  for (let number = 1; number <= count; number++) {
    atFault(number, count, () => {
      const start = at + 3
      const end = start + littleEndian(payload.subarray(at, start), 0, 3)
      if (!(start < end && end <= payload.length)) {
        throw formatError(`its part goes from byte ${start} to ${end} of section A, which has ${payload.length} bytes`)
      }
      const part = splitPart(payload.subarray(start, end), shared)
      if (part.sections.has("P")) {
        const own = part.sections.get("P")
        if (own.length) palette = own
        if (!palette) throw formatError("its palette is that of an image before it, and none has one")
        part.sections.set("P", palette)
      }
      parts.push(part)
      at = end
    })
  }
  if (at < payload.length) {
    throw formatError(`section A has ${payload.length - at} bytes after the last of ${count} images`)
  }
  return parts
}

function splitPart(part, shared) {
  const coder = part[0]
  const found = splitSections(part, 1, part.length, (at, needed) =>
    formatError(`its section at byte ${at} needs ${needed} bytes, and its part has ${part.length}`),
  )
  const tags = found.map(([tag]) => tag)
  if (coder === SEQUENCE_CODER || tags.includes("A".charCodeAt(0))) {
    throw formatError("it is an image sequence itself, and an image sequence holds images alone")
  }
  checkOrder(tags, coder, OF_IMAGES)
  const own = new Map(found.map(([tag, payload]) => [String.fromCharCode(tag), payload]))
  const twice = [...own.keys()].filter((tag) => shared.has(tag)).sort()
  if (twice.length) throw formatError(`it has a section '${twice[0]}', and so has the whole file`)
  return { coder, sections: new Map([...own, ...shared]), own }
}

// Reads metadata of one image after the other; all have a bound in common, and those of the whole file count once.
class MetadataReader {
  constructor(shared, dictionaries) {
    this.left = MAX_METADATA
    this.dictionaries = dictionaries
    this.common = ["m", "d"].filter((tag) => shared.has(tag))
    this.shared = this.parse(shared)
  }

  of(sections) {
    return this.common.includes(sections.has("m") ? "m" : "d") ? this.shared : this.parse(sections)
  }

  parse(sections) {
    const content = this.inflate(sections)
    if (!content) return new Map()
    this.left -= content.length
    return parseMetadata(content)
  }

  inflate(sections) {
    if (sections.has("m")) return inflate(sections.get("m"), this.left, "metadata")
    const payload = sections.get("d")
    const dictionary = payload?.length >= 4 ? this.dictionaries(hex(payload.subarray(0, 4))) : undefined
    if (!dictionary) return undefined
    return inflate(Uint8Array.of(...ZSTD_MAGIC, ...payload.subarray(4)), this.left, "metadata", dictionary)
  }
}

function parseStored(coder, sections, header, resources) {
  if (coder === ARCHIVE_CODER) return parseArchive(sections.get("N"), header)
  if (coder === 2) return parseLearned(sections.get("L"), header, resources)
  return parsePalette(coder, sections.get("P"), sections.get("I"), header)
}

// { header, images }, each image { coder, metadata, vae, stored }; raises SdcError.
// `resources` has dictionary(id) and weights(id), each of which gives undefined for what is not there.
function loadFile(data, resources, maxPixels = 16384 ** 2) {
  const { header, sections } = parseFile(data, maxPixels)
  const image = ({ coder, sections }, metadata) => {
    if (header.frames > 1 && coder !== ARCHIVE_CODER) {
      throw formatError(`section T says ${header.frames} frames; what coder ${coder} stores has one`)
    }
    return {
      coder: CODER_NAMES[coder],
      stored: parseStored(coder, sections, header, resources),
      metadata: metadata(sections),
      vae: sections.get("v")?.length === 8 ? sections.get("v") : undefined,
    }
  }
  const dictionaries = (id) => resources.dictionary(id)
  if (header.images === 1) {
    const read = (sections) => new MetadataReader(sections, dictionaries).shared
    return { header, images: [image({ coder: header.coder, sections }, read)] }
  }
  const shared = new Map([...sections].filter(([tag]) => tag !== "A"))
  const parts = splitSequence(sections.get("A"), header.images, shared)
  let bytes = 0
  for (const part of parts) {
    bytes += header.frames === undefined ? 24 : 30
    for (const payload of part.sections.values()) bytes += 4 + payload.length
  }
  if (bytes > MAX_FILE) {
    throw new SdcError(
      "SdcLimitError",
      `the ${header.images} images would take ${bytes} bytes in files of their own; together they may take ${MAX_FILE}`,
    )
  }
  const reader = new MetadataReader(shared, dictionaries)
  const images = parts.map((part, number) =>
    atFault(number + 1, parts.length, () => image(part, (sections) => reader.of(sections))),
  )
  return { header, images }
}
