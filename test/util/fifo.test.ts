import { describe, expect, it } from 'vitest'
import { Fifo } from '../../src/util/fifo.js'

function filled(count: number): Fifo<number> {
  const fifo = new Fifo<number>()
  for (let item = 0; item < count; item += 1) fifo.push(item)
  return fifo
}

describe('a line', () => {
  it('gives what came first, first', () => {
    const fifo = filled(3)
    expect([fifo.first, fifo.at(1), fifo.at(2), fifo.at(3)]).toEqual([0, 1, 2, undefined])
    fifo.drop()
    expect([fifo.first, fifo.at(1), fifo.length]).toEqual([1, 2, 2])
    fifo.drop(2)
    expect([fifo.first, fifo.isEmpty]).toEqual([undefined, true])
  })

  it('keeps its order when those behind are moved', () => {
    const fifo = filled(5_000)
    const taken: (number | undefined)[] = []
    for (let next = 5_000; taken.length < 10_000; next += 1) {
      if (next < 10_000) fifo.push(next)
      taken.push(fifo.first)
      fifo.drop()
    }
    expect(taken).toEqual(Array.from({ length: 10_000 }, (_, at) => at))
    expect(fifo.isEmpty).toBe(true)
  })

  it('takes out no more than there are', () => {
    const fifo = filled(2)
    fifo.drop(5)
    expect([fifo.length, fifo.isEmpty]).toEqual([0, true])
  })

  it('gives away its end, and all of it', () => {
    const fifo = filled(5)
    fifo.drop()
    expect(fifo.takeFrom(2)).toEqual([3, 4])
    expect(fifo.takeAll()).toEqual([1, 2])
    expect(fifo.isEmpty).toBe(true)
  })
})
