/**
 * The objects of a directory, on the main thread: checks arguments, then passes the work to a lane.
 */

import type {
  ObjectArea,
  ObjectInfo,
  ObjectSlice,
  ObjectStore,
} from '../../interfaces/object-store.js'
import { checkCount, checkLimit, itemsMax, objectBytesMax } from '../limits.js'
import { checkObjectName } from '../names.js'
import type { CallGate } from './base/call-gate.js'
import type { SharedBuffers } from './base/shared-buffers.js'
import type { Lane } from './engine/lane.js'
import type { Syncer } from './syncer.js'

/** The objects of one open directory. */
export class DirectoryObjects implements ObjectStore {
  readonly #lane: Lane
  readonly #syncer: Syncer
  readonly #gate: CallGate
  readonly #buffers: SharedBuffers

  constructor(lane: Lane, syncer: Syncer, gate: CallGate, buffers: SharedBuffers) {
    this.#lane = lane
    this.#syncer = syncer
    this.#gate = gate
    this.#buffers = buffers
  }

  list(area: ObjectArea, prefix: string = ''): Promise<ObjectInfo[]> {
    return this.#gate.run(() => this.#lane.call('objectList', { area, prefix }))
  }

  async write(area: ObjectArea, buffer: Uint8Array, slices: readonly ObjectSlice[]): Promise<void> {
    checkLimit(buffer.byteLength, objectBytesMax, 'the write of objects, in bytes')
    checkLimit(slices.length, itemsMax, 'the slices of one write')
    for (const slice of slices) checkSlice(area, slice, buffer.byteLength)
    // Copied before the first await, which may be the renewal of an overdue lock, because the
    // caller may reuse its buffer as soon as this call returns.
    const own = this.#buffers.take(buffer.byteLength)
    own.set(buffer)
    try {
      await this.#gate.run(() => this.#lane.call('objectWrite', { area, buffer: own, slices }))
    } finally {
      this.#buffers.give(own)
    }
    for (const { name, offset } of slices) {
      if (offset === 0) this.#syncer.renewed(area, name)
    }
  }

  read(area: ObjectArea, name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#gate.run(async () => {
      checkCount(offset, 'the offset')
      checkLimit(length, objectBytesMax, 'the read of an object, in bytes')
      return await this.#lane.call('objectRead', { area, name, offset, length })
    })
  }

  sync(area: ObjectArea, names?: readonly string[]): Promise<void> {
    return this.#gate.run(async () => {
      if (names === undefined) {
        await this.#syncer.syncAll(area, () => this.#allNames(area))
      } else {
        for (const name of names) checkObjectName(area, name)
        await this.#syncer.sync(area, names)
      }
    })
  }

  remove(area: ObjectArea, names: readonly string[]): Promise<void> {
    return this.#gate.run(async () => {
      checkLimit(names.length, itemsMax, 'the objects of one remove')
      await this.#lane.call('objectRemove', { area, names })
      for (const name of names) this.#syncer.renewed(area, name)
    })
  }

  async *#allNames(area: ObjectArea): AsyncIterable<string[]> {
    const objects = await this.#lane.call('objectList', { area, prefix: '' })
    yield objects.map((object) => object.name)
  }
}

function checkSlice(area: ObjectArea, slice: ObjectSlice, bytes: number): void {
  checkObjectName(area, slice.name)
  checkCount(slice.offset, 'the offset of a slice')
  checkCount(slice.start, 'the start of a slice')
  checkCount(slice.length, 'the length of a slice')
  checkLimit(slice.start + slice.length, bytes, `the end of the slice of ${slice.name}`)
}
