import { describe, expect, it } from 'vitest'
import type { BlobRef, Change } from '../../src/changes/change.js'
import { type Entry, partsOf } from '../../src/changes/entry.js'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import type { Channel } from '../../src/protocol/channel.js'
import { EntryBacklog } from '../../src/replication/stream/entry-backlog.js'
import type { FollowerBlobs } from '../../src/replication/stream/follower-blobs.js'
import { EntryMaker, put } from '../copy/support.js'
import { FakeCopy, settle } from './writer-support.js'

/** Blobs that arrive when the test says so. */
class FakeBlobs {
  readonly here = new Set<string>()
  readonly #fetches = new Map<string, PromiseParts>()

  has(blob: BlobRef): boolean {
    return this.here.has(blob.id)
  }

  fetch(blob: BlobRef): Promise<void> {
    if (this.has(blob)) return Promise.resolve()
    return new Promise((resolve, reject) => this.#fetches.set(blob.id, { resolve, reject }))
  }

  arrive(id: string): void {
    this.here.add(id)
    this.#fetches.get(id)?.resolve()
  }

  fail(id: string, error: Error): void {
    this.#fetches.get(id)?.reject(error)
  }
}

interface PromiseParts {
  resolve(): void
  reject(error: Error): void
}

/** The part of a stream's follower that handles waiting entries. */
class Follower {
  readonly copy = new FakeCopy()
  readonly blobs = new FakeBlobs()
  readonly failures: unknown[] = []
  /**
   * What happened, in order: the sequence numbers that were appended, `pause` and `resume` of the
   * channel.
   */
  readonly log: (number | string)[] = []
  isOpen = true
  onAppend = (): void => {}

  readonly held = new EntryBacklog({
    copy: this.copy as unknown as LocalCopy,
    blobs: this.blobs as unknown as FollowerBlobs,
    channel: {
      pause: () => this.log.push('pause'),
      resume: () => this.log.push('resume'),
    } as unknown as Channel,
    isOpen: () => this.isOpen,
    append: (entry) => {
      this.log.push(entry.header.firstSeq)
      this.onAppend()
    },
    onFailure: (error) => this.failures.push(error),
  })

  get appended(): number[] {
    return this.log.filter((what) => typeof what === 'number')
  }

  hold(...entries: Entry[]): void {
    for (const entry of entries) this.held.add(entry, partsOf(entry))
  }

  mustWait(entry: Entry): boolean {
    return this.held.mustWait(partsOf(entry))
  }
}

const target = { className: 'docs', path: 'docs/a' }

/** Entries of one change each; the one at `blobAt` names the blob `large`. */
function entries(count: number, blobAt = -1, content = 'x'): Entry[] {
  const maker = new EntryMaker()
  const blob = { id: 'large', bytes: 5000, crc: 1 }
  const named: Change = { kind: 'patch', ...target, offset: 0, bytes: undefined, blob }
  return Array.from({ length: count }, (_, at) =>
    maker.batch(at === blobAt ? named : put(target.path, content)),
  )
}

/** Calls after this many turns of the microtask queue. */
function afterMicrotasks(turns: number, call: () => void): void {
  if (turns === 0) call()
  else queueMicrotask(() => afterMicrotasks(turns - 1, call))
}

describe('waiting entries', () => {
  it('are appended in the order of arrival, after the one whose blob is being fetched', async () => {
    const follower = new Follower()
    follower.hold(...entries(4, 1))
    await settle()
    expect(follower.appended).toEqual([1])
    expect(follower.held.count).toBe(3)
    follower.blobs.arrive('large')
    await settle()
    expect(follower.appended).toEqual([1, 2, 3, 4])
    expect(follower.held.count).toBe(0)
  })

  // Regression: an entry that arrived just before the end of a round waited for the next entry,
  // which may never arrive.
  it.each([0, 1, 2, 3])(
    'one that arrives in microtask %i after the last append is appended, too',
    async (turns) => {
      const [first, second] = entries(2) as [Entry, Entry]
      const follower = new Follower()
      follower.onAppend = () => {
        follower.onAppend = () => {}
        afterMicrotasks(turns, () => follower.hold(second))
      }
      follower.hold(first)
      await settle()
      expect(follower.appended).toEqual([1, 2])
    },
  )

  it('wait while the copy is congested', async () => {
    const follower = new Follower()
    follower.copy.congested = true
    follower.hold(...entries(2))
    await settle()
    expect(follower.appended).toEqual([])
    follower.copy.decongest()
    await settle()
    expect(follower.appended).toEqual([1, 2])
  })

  it('wait while there is no target, until drain() is called', async () => {
    const follower = new Follower()
    follower.isOpen = false
    follower.hold(...entries(2))
    await settle()
    expect(follower.appended).toEqual([])
    follower.isOpen = true
    follower.held.drain()
    await settle()
    expect(follower.appended).toEqual([1, 2])
  })

  it('are not appended after drop(), not even the one that is being prepared', async () => {
    const follower = new Follower()
    follower.hold(...entries(3, 0))
    follower.isOpen = false
    follower.held.drop()
    expect(follower.held.count).toBe(0)
    follower.blobs.arrive('large')
    await settle()
    follower.isOpen = true
    follower.held.drain()
    await settle()
    expect(follower.appended).toEqual([])
  })

  it('stay when a blob cannot be fetched, and the failure is reported once', async () => {
    const follower = new Follower()
    const error = new Error('the active is gone')
    follower.hold(...entries(2, 0))
    follower.blobs.fail('large', error)
    await settle()
    expect(follower.failures).toEqual([error])
    expect(follower.appended).toEqual([])
    expect(follower.held.count).toBe(2)
  })

  it('pause the channel above 4 MiB, until half of that is left', async () => {
    const follower = new Follower()
    follower.isOpen = false
    follower.hold(...entries(3, -1, 'x'.repeat(1_500_000)))
    expect(follower.log).toEqual(['pause'])
    follower.isOpen = true
    follower.held.drain()
    await settle()
    expect(follower.log).toEqual(['pause', 1, 2, 'resume', 3, 'resume'])
  })
})

describe('an entry has to wait', () => {
  it('for a missing blob, for a congested copy, and while there is no target', () => {
    const [plain, large] = entries(2, 1) as [Entry, Entry]
    const follower = new Follower()
    expect([follower.mustWait(plain), follower.mustWait(large)]).toEqual([false, true])
    follower.blobs.arrive('large')
    expect(follower.mustWait(large)).toBe(false)
    follower.copy.congested = true
    expect(follower.mustWait(plain)).toBe(true)
    follower.copy.congested = false
    follower.isOpen = false
    expect(follower.mustWait(plain)).toBe(true)
  })

  it('behind other waiting entries', () => {
    const [large, plain] = entries(2, 0) as [Entry, Entry]
    const follower = new Follower()
    follower.hold(large)
    expect(follower.mustWait(plain)).toBe(true)
  })
})
