/** A storage that needs time for bytes on its disk and for operations on its tree. */
import type { Clock } from '../../src/interfaces/clock.js'
import type { Log, OpenStorage, Storage } from '../../src/interfaces/storage.js'

/** The speed of a machine's storage. It may be changed at any time. */
export interface Speed {
  /** Bytes that its disk writes in a second; undefined means unlimited. */
  bytesPerSecond?: number
  /** Milliseconds of processor time for each operation on the tree. */
  operationMs?: number
  /** Milliseconds of disk time for each append and sync. */
  syncMs?: number
  /** Whether reads of the tree that begin now hang. */
  readsHang?: boolean
}

/** A device that does one piece of work at a time. */
class Device {
  readonly #clock: Clock
  #freeAtMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  work(ms: number): Promise<void> {
    const nowMs = this.#clock.nowMs()
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + ms
    const waitMs = this.#freeAtMs - nowMs
    return new Promise((resolve) => this.#clock.setTimer(waitMs, resolve))
  }
}

/**
 * The storage with a disk and a processor of this speed. Bytes written to an object take their time
 * when they are synced.
 */
export function slowStorage(inner: Storage, clock: Clock, speed: Speed): Storage {
  return {
    name: inner.name,
    open: async (owner) => slowed(await inner.open(owner), clock, speed),
  }
}

function slowed(open: OpenStorage, clock: Clock, speed: Speed): OpenStorage {
  const disk = new Device(clock)
  const processor = new Device(clock)
  const dirty = new Map<string, number>()
  const writing = (bytes: number): Promise<void> =>
    disk.work(
      (speed.syncMs ?? 0) + (bytes * 1000) / (speed.bytesPerSecond ?? Number.POSITIVE_INFINITY),
    )
  const { documents, logs, objects, tree } = open
  return {
    documents,
    logs: bound(logs, {
      open: async (area: string, name: string) => slowLog(await logs.open(area, name), writing),
    }),
    objects: bound(objects, {
      write: async (...args: Parameters<typeof objects.write>) => {
        for (const { name, length } of args[2]) dirty.set(name, (dirty.get(name) ?? 0) + length)
        await objects.write(...args)
      },
      sync: async (...[area, names]: Parameters<typeof objects.sync>) => {
        let bytes = 0
        for (const name of names ?? [...dirty.keys()]) {
          bytes += dirty.get(name) ?? 0
          dirty.delete(name)
        }
        await writing(bytes)
        await (names === undefined ? objects.sync(area) : objects.sync(area, names))
      },
    }),
    tree: bound(tree, {
      apply: async (...[operations]: Parameters<typeof tree.apply>) => {
        await processor.work(operations.length * (speed.operationMs ?? 0))
        return await tree.apply(operations)
      },
      read: async (...args: Parameters<typeof tree.read>) => {
        if (speed.readsHang === true) await new Promise<never>(() => undefined)
        return await tree.read(...args)
      },
    }),
    close: () => open.close(),
  }
}

function slowLog(log: Log, writing: (bytes: number) => Promise<void>): Log {
  return bound(log, {
    append: async (parts: readonly Uint8Array[]) => {
      await writing(parts.reduce((sum, part) => sum + part.length, 0))
      await log.append(parts)
    },
  })
}

/** The object with some of its methods replaced. */
function bound<T extends object>(target: T, changed: Partial<T>): T {
  return new Proxy(target, {
    get: (from, name) => {
      const own: unknown = Reflect.get(changed, name)
      if (own !== undefined) return own
      const value: unknown = Reflect.get(from, name, from)
      return typeof value === 'function' ? value.bind(from) : value
    },
  })
}
