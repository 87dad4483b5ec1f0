"use strict"
// Metadata: JSON as the format has it. Whole numbers beyond 2^53, as seeds are, come out as BigInt.

const MAX_DEPTH = 100
const MAX_DIGITS = 309

class JsonParser {
  constructor(text) {
    this.text = text
    this.at = 0
  }

  fail(reason) {
    throw formatError(`the metadata are not valid JSON: ${reason} (letter ${this.at})`)
  }

  tooDeep() {
    throw formatError(`the metadata are nested more than ${MAX_DEPTH} levels deep`)
  }

  space() {
    while (" \t\n\r".includes(this.text[this.at] ?? "x")) this.at++
  }

  take(letter) {
    this.space()
    if (this.text[this.at] !== letter) return false
    this.at++
    return true
  }

  whole() {
    const value = this.value(0)
    this.space()
    if (this.at < this.text.length) this.fail("extra data")
    return value
  }

  // Of a value that stands within `depth` others.
  value(depth) {
    this.space()
    const letter = this.text[this.at]
    if (letter === "{") return this.object(depth + 1)
    if (letter === "[") return this.array(depth + 1)
    if (letter === '"') return this.string()
    for (const [word, value] of [["null", null], ["true", true], ["false", false]]) {
      if (!this.text.startsWith(word, this.at)) continue
      this.at += word.length
      return value
    }
    return this.number()
  }

  object(depth) {
    if (depth > MAX_DEPTH) this.tooDeep()
    this.at++
    const found = new Map() // a name such as __proto__ is a key like any other
    if (this.take("}")) return found
    do {
      this.space()
      if (this.text[this.at] !== '"') this.fail("a name is expected")
      const name = this.string()
      if (!this.take(":")) this.fail("a colon is expected")
      found.set(name, this.value(depth))
    } while (this.take(","))
    if (!this.take("}")) this.fail("a comma is expected")
    return found
  }

  array(depth) {
    if (depth > MAX_DEPTH) this.tooDeep()
    this.at++
    const found = []
    if (this.take("]")) return found
    do found.push(this.value(depth))
    while (this.take(","))
    if (!this.take("]")) this.fail("a comma is expected")
    return found
  }

  string() {
    const pattern = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/y
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (!found) this.fail("a string is damaged")
    this.at = pattern.lastIndex
    const value = JSON.parse(found[0])
    if (!value.isWellFormed()) this.fail("a string has half of a surrogate pair")
    return value
  }

  number() {
    const pattern = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (!found) this.fail("a value is expected")
    const [text, fraction, exponent] = found
    const value = Number(text)
    if (!Number.isFinite(value)) {
      throw formatError(`the metadata are not valid JSON: the number ${text.slice(0, 20)} is out of range`)
    }
    this.at = pattern.lastIndex
    const whole = fraction === undefined && exponent === undefined
    return whole && !Number.isSafeInteger(value) && text.length <= MAX_DIGITS + 1 ? BigInt(text) : value
  }
}

// What Python calls the type of a value.
function pythonType(value) {
  if (value === null) return "NoneType"
  if (value instanceof Map) return "dict"
  if (Array.isArray(value)) return "list"
  if (typeof value === "boolean") return "bool"
  if (typeof value === "string") return "str"
  return typeof value === "bigint" || Number.isInteger(value) ? "int" : "float"
}

// The metadata in the content of their section, a Map; or SdcFormatError.
function parseMetadata(bytes) {
  let text
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw formatError("the metadata are not UTF-8")
  }
  const metadata = new JsonParser(text).whole()
  if (!(metadata instanceof Map)) throw formatError(`the metadata must be an object, not ${pythonType(metadata)}`)
  for (const [name, type] of [["prompt", "str"], ["workflow", "dict"]]) {
    const found = metadata.has(name) ? pythonType(metadata.get(name)) : type
    if (found !== type) throw formatError(`the metadata have a '${name}' that is ${found}, not ${type}`)
  }
  return metadata
}

// The same as text, for people to read or to save.
function writeJson(value) {
  if (value instanceof Map) {
    return `{${[...value].map(([name, inner]) => `${JSON.stringify(name)}:${writeJson(inner)}`).join(",")}}`
  }
  if (Array.isArray(value)) return `[${value.map(writeJson).join(",")}]`
  return typeof value === "bigint" ? String(value) : JSON.stringify(value)
}
