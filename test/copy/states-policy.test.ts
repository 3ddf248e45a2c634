import { describe, expect, test } from 'vitest'
import { synced } from '../../src/policy/kinds/synced.js'
import { memory } from '../../src/storage/memory.js'
import { crashed, Persistent, start } from './states-support.js'
import { EntryMaker, put, update } from './support.js'

describe('classes of application state: changed policies', () => {
  test('a class that a newer policy adds starts empty; one whose changes were skipped is lost', async () => {
    const storage = memory()
    const old = await start(storage, { docs: synced('docs/**') })
    const maker = new EntryMaker()
    old.append(maker.open())
    old.append(maker.batch(put('docs/a', 'a')))
    await old.close()
    const app = new Persistent()
    const fresh = await start(crashed(storage), app.start())
    expect(fresh.complete).toBe(true)
    await fresh.close()
    const older = await start(crashed(storage), { docs: synced('docs/**') })
    older.append(maker.batch(update('x', 1)))
    expect(older.complete).toBe(true)
    await older.close()
    const again = await start(crashed(storage), app.start())
    expect(again.stateNeedsRestore).toEqual(['kv'])
    await again.close()
    const third = await start(crashed(storage), app.start())
    expect(third.stateNeedsRestore).toEqual(['kv'])
    await third.close()
  })

  test('a class of files that a newer policy adds, after changes of it were skipped, is lacking', async () => {
    const storage = memory()
    const old = await start(storage, { docs: synced('docs/**') })
    const maker = new EntryMaker()
    old.append(maker.open())
    old.append(maker.batch(put('config/a', 'a', 'config')))
    await old.close()
    const again = await start(crashed(storage), {
      docs: synced('docs/**'),
      config: synced('config/**'),
    })
    expect(again.stateNeedsRestore).toEqual(['config'])
    expect(again.complete).toBe(false)
    await again.close()
  })

  test('a path that a newer policy no longer claims is dropped from the index, not from the disk', async () => {
    const storage = memory()
    const old = await start(storage, { docs: synced('docs/**') })
    const maker = new EntryMaker()
    old.append(maker.open())
    old.append(maker.batch(put('docs/a', 'a'), put('docs/b/c', 'c')))
    await old.close()
    const again = await start(crashed(storage), {
      docs: synced(['docs/**', '!docs/b/**']),
      more: synced('docs/b/**'),
    })
    expect(again.files.list()).toEqual(['docs/a', 'docs/b/c'])
    expect(again.index.get('docs/b/c')?.className).toBe('more')
    await again.close()
    const third = await start(crashed(storage), { more: synced('docs/b/**') })
    expect(third.files.list()).toEqual(['docs/b/c'])
    expect(storage.outside.list()).toEqual(['docs/a', 'docs/b/c'])
    await third.close()
  })
})
