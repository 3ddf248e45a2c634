import { afterEach, describe, expect, it } from 'vitest'
import { copyLimits } from '../../src/copy/contents/types.js'
import { LocalCopy } from '../../src/copy/local-copy.js'
import { HotspareError } from '../../src/errors.js'
import { FilesApi } from '../../src/node/writes/files.js'
import { runTransaction } from '../../src/node/writes/transaction.js'
import { appState } from '../../src/policy/kinds/app-state.js'
import { synced } from '../../src/policy/kinds/synced.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import { writerLimits } from '../../src/replication/write/types.js'
import { type Follower, Writer } from '../../src/replication/write/writer.js'
import { memory } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { TestClock } from '../support/clock.js'
import { counting, gateTo, settle } from './writer-support.js'

interface NodeParts {
  readonly copy: LocalCopy
  readonly notes: unknown[]
  readonly policy: SyncPolicy
  readonly storage: Awaited<ReturnType<ReturnType<typeof memory>['open']>>
  close(): Promise<void>
}

const open: NodeParts[] = []

async function openNode(disk = memory(), id = 'alpha'): Promise<NodeParts> {
  const notes: unknown[] = []
  const policy = new SyncPolicy({
    notes: appState<unknown, unknown>({
      snapshot: () => [...notes],
      restore: (snapshot) => void notes.splice(0, notes.length, ...(snapshot as unknown[])),
      apply: (note) => {
        if (note === 'bad') throw new RangeError('bad note')
        return notes.push(note)
      },
    }),
    files: synced('files/**'),
  })
  const storage = await disk.open({ nodeId: id, bootId: 'boot' })
  const clock = new TestClock()
  const limits = { ...copyLimits }
  const copy = await LocalCopy.open({
    storage,
    policy,
    clock,
    random: counting(),
    limits,
    emit: () => {},
  })
  const parts: NodeParts = {
    copy,
    notes,
    policy,
    storage,
    close: async () => {
      await copy.close()
      await storage.close()
    },
  }
  open.push(parts)
  return parts
}

async function openWriter(node: NodeParts, epoch = 1, degraded = true): Promise<Writer> {
  return Writer.open({
    copy: node.copy,
    policy: node.policy,
    clock: new TestClock(),
    random: counting(),
    storage: node.storage,
    term: { epoch, nodeId: 'alpha', bootId: 'boot' },
    nodeId: 'alpha',
    members: ['alpha', 'beta'].map((id) => ({ id, promotable: true })),
    degradeAfterMs: 2000,
    onNoStandby: 'degrade',
    flowControl: 'redundancy',
    limits: { ...writerLimits, inlineBytesMax: 10_000 },
    degraded,
    blobs: { distribute: async () => {}, withdraw: () => {} },
    emit: () => {},
    tenure: { mayAct: () => true },
  })
}

function note(value: unknown) {
  return { kind: 'update', className: 'notes', value } as const
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

afterEach(async () => {
  for (const node of open.splice(0)) await node.close()
})

describe('the writer on a real copy', () => {
  it.each([1, 2, 3, 4, 5])(
    'GEN-2: writes acknowledged on disk survive a crash (%i)',
    async (seed) => {
      const disk = memory()
      const node = await openNode(disk)
      const writer = await openWriter(node)
      const receipts = await Promise.all(
        [1, 2, 'bad', 3].map((value) => writer.submit(note(value)).catch(String)),
      )
      expect(receipts).toMatchObject([
        { position: { seq: 1 }, result: 1, durable: true },
        { position: { seq: 2 }, result: 2 },
        'RangeError: bad note',
        { position: { seq: 4 }, result: 3 },
      ])
      const files = new FilesApi({
        policy: node.policy,
        gate: gateTo(writer, node.storage),
        copy: () => node.copy,
      })
      await files.write('files/a', 'hello')
      await files.append('files/a', ' world')
      await files.write('files/large', Buffer.alloc(50_000, 'x'))
      open.pop()
      disk.crash(new SeededRandom(seed))
      const again = await openNode(disk)
      expect(again.notes).toEqual([1, 2, 3])
      expect(again.copy.seq).toBe(7)
      expect(text((await again.copy.files.read('files/a')).bytes)).toBe('hello world')
      expect(text((await again.copy.files.read('files/large')).bytes)).toBe('x'.repeat(50_000))
    },
  )

  it('another term, freezing and draining give one history without gaps', async () => {
    const node = await openNode()
    const writer = await openWriter(node)
    await writer.submit(note('a'))
    await writer.openTerm({ epoch: 5, nodeId: 'alpha', bootId: 'boot' })
    await writer.submit(note('b'))
    writer.freeze()
    const held = writer.submit(note('c'))
    expect(await writer.drained()).toBe(2)
    writer.unfreeze()
    await held
    writer.close(new HotspareError('NOT_ACTIVE'))
    const next = await openWriter(node, 9)
    await next.submit(note('d'))
    expect(node.copy.history.map(({ epoch, firstSeq }) => [epoch, firstSeq])).toEqual([
      [1, 1],
      [5, 2],
      [9, 4],
    ])
    expect(node.copy.inSync).toEqual([])
  })

  it('SYN-6: files change together, and reads see the last change before it is on disk', async () => {
    const node = await openNode()
    const writer = await openWriter(node)
    const files = new FilesApi({
      policy: node.policy,
      gate: gateTo(writer, node.storage),
      copy: () => node.copy,
    })
    await files.write('files/a/b', 'one')
    await expect(files.write('files/a', 'x')).rejects.toMatchObject({ code: 'PATH_CONFLICT' })
    await expect(files.write('files/a/b/c', 'x')).rejects.toMatchObject({ code: 'PATH_CONFLICT' })
    const source = {
      policy: node.policy,
      gate: gateTo(writer, node.storage),
      copy: () => node.copy,
    }
    const { receipt } = await runTransaction(source, async (tx) => {
      await tx.files.append('files/a/b', ' two')
      await tx.files.write('files/c', 'see')
      tx.update('notes', 'both')
    })
    expect(receipt.result).toEqual([undefined, undefined, 1])
    expect(text(await files.read('files/a/b'))).toBe('one two')
    expect((await files.list('files/')).map(({ path, version }) => [path, version])).toEqual([
      ['files/a/b', 2],
      ['files/c', 2],
    ])
    await files.remove('files/a/b')
    await files.write('files/a', 'now a file')
    await node.copy.settle()
    expect(text((await node.copy.files.read('files/a')).bytes)).toBe('now a file')
  })

  it('SYN-1: a second copy that appends the entries is equal, and its answers acknowledge writes', async () => {
    const active = await openNode()
    const standby = await openNode(memory(), 'beta')
    const writer = await openWriter(active, 1, false)
    const reader = active.copy.reader(0)
    const taken = async (): Promise<void> => {
      for (
        let entries = await reader.next(1e6);
        entries.length > 0;
        entries = await reader.next(1e6)
      ) {
        for (const entry of entries) standby.copy.append(entry)
      }
      await standby.copy.flush()
    }
    const follower: Follower = writer.addFollower('beta', { promotable: true })
    await taken()
    follower.received(active.copy.lastOrdinal, active.copy.lastOrdinal)
    follower.caughtUp()
    await settle()
    expect(writer.status.inSync).toEqual(['beta'])
    const writes = [1, 'bad', 2].map((value) => writer.submit(note(value)).catch(String))
    await settle()
    await taken()
    follower.received(active.copy.lastOrdinal, active.copy.lastOrdinal)
    expect(await Promise.all(writes)).toMatchObject([
      { ack: 'standby', durable: true },
      'RangeError: bad note',
      {},
    ])
    expect(standby.notes).toEqual([1, 2])
    expect(standby.copy.inSync).toEqual(['beta'])
    reader.close()
  })
})
