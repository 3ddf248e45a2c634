import { expect, test } from 'vitest'
import { blockBytes, dataRuns, isWhole } from '../../src/util/zero-runs.js'

const block = blockBytes

function bytesOf(length: number, ...ones: number[]): Uint8Array {
  const bytes = new Uint8Array(length)
  for (const at of ones) bytes[at] = 1
  return bytes
}

test.each([
  { what: 'nothing', bytes: bytesOf(0), position: 0, runs: [] },
  { what: 'zeros', bytes: bytesOf(3 * block), position: 0, runs: [] },
  { what: 'less than a block of zeros', bytes: bytesOf(9), position: 0, runs: [[0, 9]] },
  {
    what: 'a byte at the end of a block',
    bytes: bytesOf(3 * block, 2 * block - 1),
    position: block,
    runs: [[block, block]],
  },
  {
    what: 'zeros that fill no block of the file',
    bytes: bytesOf(2 * block - 2, 0),
    position: 1,
    runs: [[0, 2 * block - 2]],
  },
  {
    what: 'parts of blocks around a hole',
    bytes: bytesOf(3 * block + 20),
    position: block - 10,
    runs: [
      [0, 10],
      [10 + 3 * block, 10],
    ],
  },
  {
    what: 'data, hole, data, hole',
    bytes: bytesOf(6 * block, 5, 3 * block + 7, 4 * block + 1),
    position: 0,
    runs: [
      [0, block],
      [3 * block, 2 * block],
    ],
  },
])('the data in $what', ({ bytes, position, runs }) => {
  const found = dataRuns(bytes, position)
  expect(found.map(({ start, length }) => [start, length])).toEqual(runs)
  expect(isWhole(found, bytes.length)).toBe(bytes.length === 0 || runs[0]?.[1] === bytes.length)
  const again = new Uint8Array(bytes.length)
  for (const { start, length } of found) again.set(bytes.subarray(start, start + length), start)
  expect(again).toEqual(bytes)
})
