"use strict"
// What can be seen of a latent that no decoder here knows: the direction in which its channels vary most, in gray.

const COMPONENT_PLACES = 4096 // that the direction is found by
const COMPONENT_STEPS = 100

// RGBA of a latent (channels, area).
function mainComponent(latent, channels, area) {
  const every = Math.ceil(area / COMPONENT_PLACES)
  const rows = Array.from({ length: channels }, (_, channel) => {
    const values = Float64Array.from({ length: Math.ceil(area / every) }, (_, i) => latent[channel * area + i * every])
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return values.map((value) => value - mean)
  })
  const product = (one, other) => one.reduce((sum, value, i) => sum + value * other[i], 0)
  const covariance = rows.map((one) => rows.map((other) => product(one, other)))
  let direction = covariance.map((row, channel) => row[channel]) // no direction is at right angles to all variances
  for (let step = 0; step < COMPONENT_STEPS; step++) {
    const next = covariance.map((row) => product(row, direction))
    const length = Math.sqrt(product(next, next)) || 1
    direction = next.map((value) => value / length)
  }
  const shown = new Float64Array(area)
  direction.forEach((weight, channel) => {
    for (let i = 0; i < area; i++) shown[i] += weight * latent[channel * area + i]
  })
  const mean = shown.reduce((sum, value) => sum + value, 0) / area
  const deviation = Math.sqrt(shown.reduce((sum, value) => sum + (value - mean) ** 2, 0) / area) || 1
  const pixels = new Uint8ClampedArray(4 * area)
  for (let i = 0; i < area; i++) {
    pixels.fill(127.5 + (60 * (shown[i] - mean)) / deviation, 4 * i, 4 * i + 3)
    pixels[4 * i + 3] = 255
  }
  return pixels
}
