import { describe, expect, it } from 'vitest'
import { type NodeEvents, neverSynced, SyncPolicy, synced } from '../../src/index.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { nodesOn } from './nodes.js'

// A database that somebody has open must not be replicated as a file. Each start warns of it.

const nodeOf = nodesOn()
const policy = new SyncPolicy({
  data: synced('data/**'),
  bare: synced('bare/*.db'),
  local: neverSynced('live/**', { reason: 'databases' }),
})
const database = new Uint8Array(4096).fill(1)
const log = (order: 0x82 | 0x83) => Uint8Array.of(0x37, 0x7f, 0x06, order, 0, 0, 0, 0)

async function toldAtStart(storage: MemoryStorage, adopt: boolean) {
  const node = nodeOf('alpha', { storage, policy })
  const told: NodeEvents['liveDatabase'][0][] = []
  node.on('liveDatabase', (event) => told.push(event))
  await node.start({ adopt })
  await node.stop()
  return told
}

describe('an SQLite database in a synced class', () => {
  it('is reported at each start with its class and what to do, while its log exists', async () => {
    const storage = memory()
    storage.outside.write('data/app.db', database)
    storage.outside.write('data/app.db-wal', log(0x82))
    storage.outside.write('bare/b.db', database)
    storage.outside.write('bare/b.db-wal', log(0x83))
    storage.outside.write('data/cut.db', database)
    storage.outside.write('data/cut.db-wal', new Uint8Array(0))
    for (const adopt of [true, false]) {
      const told = await toldAtStart(storage, adopt)
      expect(told.map(({ path, className }) => [path, className]).sort()).toEqual([
        ['bare/b.db', 'bare'],
        ['data/app.db', 'data'],
        ['data/cut.db', 'data'],
      ])
      for (const { whatToDo } of told) expect(whatToDo).toMatch(/neverSynced/)
    }
  })

  it('is not reported without a log, without a database, with other content, or without a synced class', async () => {
    const storage = memory()
    storage.outside.write('data/closed.db', database)
    storage.outside.write('data/alone.db-wal', log(0x82))
    storage.outside.write('data/text', database)
    storage.outside.write('data/text-wal', new TextEncoder().encode('a text of its own'))
    storage.outside.write('data/odd', new Uint8Array(100))
    storage.outside.write('data/odd-wal', new Uint8Array(0))
    storage.outside.write('live/app.db', database)
    storage.outside.write('live/app.db-wal', log(0x82))
    expect(await toldAtStart(storage, true)).toEqual([])
  })
})
