/** The objects of an open memory storage. */

import type {
  ObjectArea,
  ObjectInfo,
  ObjectSlice,
  ObjectStore,
} from '../../interfaces/object-store.js'
import type { Random } from '../../interfaces/random.js'
import { storageFailed } from '../failure.js'
import { checkCount, checkLimit, itemsMax, objectBytesMax } from '../limits.js'
import { checkObjectName } from '../names.js'
import { pick } from './bytes.js'
import { type Content, objectKey } from './content.js'
import type { MemoryOperation, Runner } from './runner.js'

export class MemoryObjects implements ObjectStore {
  readonly #content: Content
  readonly #runner: Runner

  constructor(content: Content, runner: Runner) {
    this.#content = content
    this.#runner = runner
  }

  list(area: ObjectArea, prefix: string = ''): Promise<ObjectInfo[]> {
    return this.#run('objects.list', area, () => {
      const { objects } = this.#content
      return this.#namesIn(area, prefix)
        .map((name) => ({ name, bytes: objects.get(objectKey(area, name))?.length ?? 0 }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  async write(area: ObjectArea, buffer: Uint8Array, slices: readonly ObjectSlice[]): Promise<void> {
    checkLimit(buffer.byteLength, objectBytesMax, 'the write of objects, in bytes')
    checkLimit(slices.length, itemsMax, 'the slices of one write')
    for (const { name, offset, start, length } of slices) {
      checkObjectName(area, name)
      checkCount(offset, 'the offset of a slice')
      checkCount(start, 'the start of a slice')
      checkCount(length, 'the length of a slice')
      checkLimit(start + length, buffer.byteLength, `the end of the slice of ${name}`)
    }
    // Copied for a call that waits, because the caller may change the bytes meanwhile.
    const own = this.#runner.immediate ? buffer : new Uint8Array(buffer)
    const store = (count: number): void => {
      for (const { name, offset, start, length, mode } of slices.slice(0, count)) {
        const bytes = own.subarray(start, start + length)
        this.#content.objects.write(objectKey(area, name), offset, bytes)
        if (mode !== undefined) this.#content.modes.set(name, mode & 0o777)
      }
    }
    await this.#run(
      'objects.write',
      area,
      () => {
        this.#content.checkChange(true)
        store(slices.length)
      },
      (random) => store(pick(random, slices.length)),
    )
  }

  async read(area: ObjectArea, name: string, offset: number, length: number): Promise<Uint8Array> {
    checkObjectName(area, name)
    checkCount(offset, 'the offset')
    checkLimit(length, objectBytesMax, 'the read of an object, in bytes')
    return await this.#run('objects.read', area, () => {
      const bytes = this.#content.objects.get(objectKey(area, name))
      if (bytes === undefined) throw storageFailed(`there is no object ${area}/${name}`)
      return new Uint8Array(bytes.view(offset, offset + length))
    })
  }

  async sync(area: ObjectArea, names?: readonly string[]): Promise<void> {
    for (const name of names ?? []) checkObjectName(area, name)
    await this.#run('objects.sync', area, () => {
      const { objects } = this.#content
      const all = names?.map((name) => objectKey(area, name)) ?? this.#allKeys(area)
      const bad = all.find((key) => objects.failed.has(key))
      if (bad !== undefined) throw storageFailed(`an earlier sync of ${bad} failed`)
      const sync = (): void => {
        for (const key of all) objects.sync(key)
      }
      this.#content.syncOrLose(sync, (isLost) => {
        for (const key of all) {
          if (objects.isDurable(key)) continue
          objects.failed.add(key)
          if (isLost) objects.drop(key)
        }
      })
    })
  }

  async remove(area: ObjectArea, names: readonly string[]): Promise<void> {
    const all: string[] = []
    for (const name of names) {
      const folder = name.endsWith('/')
      checkObjectName(area, folder ? name.slice(0, -1) : name)
      if (folder) all.push(...this.#namesIn(area, name))
      else all.push(name)
    }
    const drop = (count: number): void => {
      for (const name of all.slice(0, count)) this.#content.objects.remove(objectKey(area, name))
    }
    await this.#run(
      'objects.remove',
      area,
      () => {
        this.#content.checkChange(false)
        drop(all.length)
      },
      (random) => drop(pick(random, all.length)),
    )
  }

  #namesIn(area: ObjectArea, prefix: string): string[] {
    const start = `${area}/`
    const names: string[] = []
    for (const key of this.#content.objects.keys()) {
      if (key.startsWith(`${start}${prefix}`)) names.push(key.slice(start.length))
    }
    return names
  }

  #allKeys(area: ObjectArea): string[] {
    return [...this.#content.objects.allKeys()].filter((key) => key.startsWith(`${area}/`))
  }

  async #run<T>(
    operation: MemoryOperation,
    area: ObjectArea,
    effect: () => T,
    partial?: (random: Random) => void,
  ): Promise<T> {
    const call = { operation, channel: `objects ${area}`, effect }
    return await this.#runner.run(partial === undefined ? call : { ...call, partial })
  }
}
