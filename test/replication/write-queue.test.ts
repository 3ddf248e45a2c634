import { describe, expect, it } from 'vitest'
import type { Write } from '../../src/replication/write/ack-queues.js'
import { type RoomWaiter, WriteQueue } from '../../src/replication/write/queue.js'

const bytesMax = 100

function writeOf(bytes: number): Write {
  return { bytes, level: 1, gone: false, intent: { kind: 'put' } } as unknown as Write
}

/** A waiter that queues a write of its size when it is let in, and notes its name. */
function waiterOf(queue: WriteQueue, bytes: number, name: string, entered: string[]): RoomWaiter {
  return {
    bytes,
    isOver: false,
    enter: () => {
      entered.push(name)
      queue.push(writeOf(bytes))
    },
    refuse: () => undefined,
  }
}

describe('writes that wait for room in the queue', () => {
  it('enter in the order of their arrival, a small one not before a large one', () => {
    const queue = new WriteQueue(bytesMax, 10)
    const entered: string[] = []
    queue.push(writeOf(60))
    queue.push(writeOf(30))
    queue.waitForRoom(waiterOf(queue, 50, 'large', entered))
    queue.waitForRoom(waiterOf(queue, 5, 'small', entered))
    queue.announceRoom()
    expect(entered).toEqual([])
    queue.shift(1)
    queue.announceRoom()
    expect(entered).toEqual(['large', 'small'])
  })

  it('are not held up by one that was given up', () => {
    const queue = new WriteQueue(bytesMax, 10)
    const entered: string[] = []
    queue.push(writeOf(90))
    queue.waitForRoom({ ...waiterOf(queue, 50, 'large', []), isOver: true, enter: () => undefined })
    queue.waitForRoom(waiterOf(queue, 5, 'small', entered))
    queue.announceRoom()
    expect(entered).toEqual(['small'])
  })
})
