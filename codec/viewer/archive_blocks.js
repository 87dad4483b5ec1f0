"use strict"
// In which order the archive coder codes the places of a latent, and from which neighbors each is predicted.

const MAX_BLOCK = 1 << 17 // elements of all channels

const span = (start, step, end) => Array.from({ length: Math.max(0, Math.ceil((end - start) / step)) }, (_, i) => start + i * step)

// { frames, before, after }: frames coded together, and those that each is predicted from; the first one from none.
function* archiveGroups(frames, together) {
  yield { frames: [0] }
  if (frames === 1) return
  let half = 1
  while (2 * half < frames) half *= 2
  for (; half >= 1; half = Math.floor(half / 2)) {
    const between = span(half, 2 * half, frames)
    const alone = between.at(-1) + half >= frames ? [between.pop()] : []
    for (let first = 0; first < between.length; first += together) {
      const part = between.slice(first, first + together)
      yield { frames: part, before: part.map((frame) => frame - half), after: part.map((frame) => frame + half) }
    }
    const before = alone.map((frame) => frame - half)
    if (alone.length) yield { frames: alone, before, after: before }
  }
}

// { kind, rows, columns, offsets }: grids of a frame, from coarse to fine. Offsets are those of the four neighbors.
function* archiveGrids(height, width) {
  yield { kind: "coarse", rows: span(0, 16, height), columns: span(0, 16, width) }
  for (let half = 8; half >= 1; half /= 2) {
    const [inRow, inColumn] = [[[0, -half], [0, half]], [[-half, 0], [half, 0]]]
    const diagonal = [[-half, -half], [half, half], [-half, half], [half, -half]]
    for (const [kind, top, left, offsets] of [
      ["diagonal", half, half, diagonal],
      ["straight", 0, half, [...inRow, ...(height > half ? inColumn : inRow)]],
      ["straight", half, 0, [...inColumn, ...(width > half ? inRow : inColumn)]],
    ]) {
      if (top < height && left < width) {
        yield { kind, rows: span(top, 2 * half, height), columns: span(left, 2 * half, width), offsets }
      }
    }
  }
}

// Blocks of a latent as indices into a channel's (frames, height, width) numbers: `places` (n), `neighbors` (4 times n),
// and for frames after the first `before` and `after` (n), by which a place and its neighbors are moved to those frames.
function* archiveBlocks(channels, frames, height, width) {
  const area = height * width
  const mirrored = (at, offset, size) => (at + offset >= 0 && at + offset < size ? at + offset : at - offset)
  for (const group of archiveGroups(frames, Math.max(1, Math.floor((4 * MAX_BLOCK) / (channels * area))))) {
    for (const { kind, rows, columns, offsets = [] } of archiveGrids(height, width)) {
      const most = Math.max(1, Math.floor(MAX_BLOCK / (channels * group.frames.length * columns.length)))
      for (let top = 0; top < rows.length; top += most) {
        const part = rows.slice(top, top + most)
        const size = group.frames.length * part.length * columns.length
        const block = { kind, later: Boolean(group.before), places: new Int32Array(size) }
        block.neighbors = offsets.map(() => new Int32Array(size))
        if (block.later) {
          block.before = new Int32Array(size)
          block.after = new Int32Array(size)
        }
        let at = 0
        group.frames.forEach((frame, number) => {
          for (const y of part) {
            for (const x of columns) {
              block.places[at] = frame * area + y * width + x
              offsets.forEach(([down, right], i) => {
                const [row, column] = [mirrored(y, down, height), mirrored(x, right, width)]
                block.neighbors[i][at] = frame * area + row * width + column
              })
              if (block.later) {
                block.before[at] = (group.before[number] - frame) * area
                block.after[at] = (group.after[number] - frame) * area
              }
              at++
            }
          }
        })
        yield block
      }
    }
  }
}
