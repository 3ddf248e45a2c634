import { describe, expect, it } from 'vitest'
import type { VaultIncident } from '../../src/copy/vault/incident.js'
import type { FilesApi } from '../../src/node/writes/files.js'
import type { World } from '../../src/testing/simulator/world.js'
import {
  allIsWell,
  eventsOf,
  inStep,
  noViolation,
  quit,
  roles,
  until,
  watched,
  write,
} from './support.js'

const deadMs = 2_000

// Files that are changed by hand while their node is stopped, which becomes active afterwards.

const edited = 'edited by hand, and longer than before'

function filesOf(world: World, id: string): FilesApi {
  return world.process(id).node.files
}

async function textOn(world: World, id: string, path: string): Promise<string> {
  const read = filesOf(world, id).read(path)
  return await world.settle(
    read.then(
      (bytes) => Buffer.from(bytes).toString(),
      (error: { code: string }) => error.code,
    ),
  )
}

function onDisk(world: World, id: string, path: string): string | undefined {
  const bytes = world.machine(id).storage.outside.read(path)
  return bytes === undefined ? undefined : Buffer.from(bytes).toString()
}

function edit(world: World, id: string, path: string, text = edited): void {
  world.machine(id).storage.outside.write(path, Buffer.from(text))
}

async function vaultOf(world: World, id: string): Promise<readonly VaultIncident[]> {
  return await world.settle(world.process(id).node.vault.list())
}

async function keptIn(world: World, id: string, incident: VaultIncident): Promise<string[]> {
  const texts: string[] = []
  for (const { path, object } of incident.files) {
    const bytes = await world.settle(world.process(id).node.vault.read(object))
    texts.push(`${path}=${Buffer.from(bytes).toString()}`)
  }
  return texts.sort()
}

/**
 * Files `data/f0`, … with the texts `first 0`, … on all nodes, which are then stopped, the active
 * last.
 */
async function stopped(
  nodes: number,
  count: number,
  options: Partial<ConstructorParameters<typeof World>[0]> = {},
): Promise<World> {
  const world = watched({ nodes, ...options })
  world.startAll()
  await inStep(world)
  for (let at = 0; at < count; at += 1) {
    await world.settle(filesOf(world, 'n1').write(`data/f${at}`, `first ${at}`))
  }
  await inStep(world)
  await world.run(2_000)
  for (const { id } of [...world.members].reverse()) await world.settle(world.stop(id))
  return world
}

describe('a node that becomes active with files that were changed by hand while it was stopped', () => {
  it.each([1, 2])(
    'OPS-2: adopts them before the application can write (%i nodes)',
    async (nodes) => {
      const world = await stopped(nodes, 5)
      for (const at of [0, 1, 2]) world.machine('n1').storage.outside.remove(`data/f${at}`)
      edit(world, 'n1', 'data/f3')
      edit(world, 'n1', 'data/f4')
      world.start('n1')
      let done = 0
      const first: string[] = []
      const { node } = world.process('n1')
      void node.whileActive(async () => {
        first.push(Buffer.from(await node.files.read('data/f4')).toString())
        first.push(String(await node.files.stat('data/f0')))
        for (const at of [0, 1, 2, 3]) {
          await node.files.write(`data/f${at}`, `new ${at}`)
          done += 1
        }
        await node.files.append('data/f4', ' +')
        done += 1
      })
      if (nodes > 1) world.start('n2')
      await until(world, () => done === 5)
      expect(first).toEqual([edited, 'undefined'])
      const names = world.events.filter((event) => event.node === 'n1').map(({ name }) => name)
      expect(names.indexOf('outsideChange')).toBeLessThan(names.lastIndexOf('role'))
      await inStep(world)
      await world.run(2_000)
      for (const { id } of world.members) {
        for (const at of [0, 1, 2, 3]) expect(onDisk(world, id, `data/f${at}`)).toBe(`new ${at}`)
        expect(onDisk(world, id, 'data/f4')).toBe(`${edited} +`)
      }
      expect(eventsOf(world, 'n1', 'outsideChange')).toMatchObject([
        { count: 5, outcome: 'adopted' },
      ])
      await allIsWell(world)
    },
  )

  it('OPS-2: adopts them also after it was killed during writes', async () => {
    const world = watched({ nodes: 2 })
    world.startAll()
    await inStep(world)
    const files = filesOf(world, 'n1')
    for (const at of [0, 1, 2]) await world.settle(files.write(`data/f${at}`, `first ${at}`))
    // Waits for a checkpoint, and then changes files in place.
    await world.run(12_000)
    for (const at of [0, 1, 2]) await world.settle(files.append(`data/f${at}`, ' and more'))
    await world.run(100)
    for (const id of ['n2', 'n1']) world.kill(id)
    edit(world, 'n1', 'data/f0')
    edit(world, 'n2', 'data/f1')
    world.machine('n1').storage.outside.remove('data/f2')
    world.startAll()
    await inStep(world)
    await world.run(1_000)
    expect(world.actives()).toEqual(['n1'])
    for (const id of ['n1', 'n2']) {
      expect(onDisk(world, id, 'data/f0'), id).toBe(edited)
      expect(onDisk(world, id, 'data/f1'), id).toBe('first 1 and more')
      expect(onDisk(world, id, 'data/f2'), id).toBeUndefined()
    }
    const [adopted] = await vaultOf(world, 'n1')
    expect(await keptIn(world, 'n1', adopted as VaultIncident)).toEqual([
      'data/f0=first 0 and more',
      'data/f2=first 2 and more',
    ])
    const [repaired] = await vaultOf(world, 'n2')
    expect(await keptIn(world, 'n2', repaired as VaultIncident)).toEqual([`data/f1=${edited}`])
    await allIsWell(world)
  })

  it('OPS-2: first vaults the version of the history, as the journal still has it', async () => {
    const world = await stopped(2, 4)
    world.machine('n1').storage.outside.remove('data/f0')
    edit(world, 'n1', 'data/f1')
    // The same bytes with another inode, so that nothing is replaced.
    edit(world, 'n1', 'data/f2', 'first 2')
    edit(world, 'n1', 'data/new')
    world.startAll()
    await inStep(world)
    const [incident, ...more] = await vaultOf(world, 'n1')
    expect(more).toEqual([])
    expect(incident).toMatchObject({ reason: 'adopted', truncated: false })
    expect(incident?.gone).toBeUndefined()
    expect(await keptIn(world, 'n1', incident as VaultIncident)).toEqual([
      'data/f0=first 0',
      'data/f1=first 1',
    ])
    expect(eventsOf(world, 'n1', 'vaulted')).toHaveLength(1)
    expect(onDisk(world, 'n2', 'data/f0')).toBeUndefined()
    expect(onDisk(world, 'n2', 'data/f1')).toBe(edited)
    expect(onDisk(world, 'n2', 'data/new')).toBe(edited)
    await allIsWell(world)
  })

  it('OPS-2: composes a version from the changes that made it, large contents included', async () => {
    const world = watched({ nodes: 1 })
    world.startAll()
    await inStep(world)
    const files = filesOf(world, 'n1')
    const large = 'L'.repeat(200_000)
    await world.settle(files.write('data/log', 'one'))
    await world.settle(files.append('data/log', ' two'))
    await world.settle(files.patch('data/log', 0, 'ONE'))
    await world.settle(files.truncate('data/log', 6))
    await world.settle(files.write('data/large', large))
    await world.settle(files.append('data/large', ' end'))
    await world.run(1_000)
    await world.settle(world.stop('n1'))
    edit(world, 'n1', 'data/log')
    edit(world, 'n1', 'data/large', 'M'.repeat(300_000))
    world.start('n1')
    await inStep(world)
    const [incident] = await vaultOf(world, 'n1')
    expect(await keptIn(world, 'n1', incident as VaultIncident)).toEqual([
      `data/large=${large} end`,
      'data/log=ONE tw',
    ])
    expect((await textOn(world, 'n1', 'data/large')).length).toBe(300_000)
    await allIsWell(world)
  })

  it('OPS-2: names lost versions in the incident', async () => {
    const world = watched({ nodes: 2 })
    world.start('n1')
    await until(world, () => world.actives().includes('n1'))
    await world.settle(filesOf(world, 'n1').write('data/old', 'old'))
    // Changes that a node gets by a restore are not in its journal.
    world.start('n2')
    await inStep(world)
    for (const id of ['n1', 'n2']) await world.settle(world.stop(id))
    edit(world, 'n2', 'data/old')
    world.start('n2')
    await until(world, () => world.actives().includes('n2'))
    const [incident] = await vaultOf(world, 'n2')
    expect(incident).toMatchObject({
      reason: 'adopted',
      files: [],
      gone: [{ path: 'data/old', size: 3, version: 1 }],
    })
    world.start('n1')
    await allIsWell(world)
  })

  it('OPS-2: adopts a file that replaced a folder, and a folder that replaced a file', async () => {
    const world = await stopped(2, 1)
    world.start('n1')
    world.start('n2')
    await inStep(world)
    await write(world, 'n1', 'data/folder/one')
    await write(world, 'n1', 'data/file')
    await inStep(world)
    await world.run(1_000)
    for (const id of ['n2', 'n1']) await world.settle(world.stop(id))
    const disk = world.machine('n1').storage.outside
    disk.remove('data/folder/one')
    edit(world, 'n1', 'data/folder')
    disk.remove('data/file')
    edit(world, 'n1', 'data/file/one')
    world.startAll()
    await inStep(world)
    await world.run(1_000)
    expect(onDisk(world, 'n2', 'data/folder')).toBe(edited)
    expect(onDisk(world, 'n2', 'data/file/one')).toBe(edited)
    await allIsWell(world)
  })

  it('OPS-2: resumes after a kill, and no node is in sync with different files', async () => {
    const count = 120
    for (const afterMs of [5, 20, 60, 100]) {
      const world = await stopped(2, count, { diskMs: 5, seed: afterMs })
      for (let at = 0; at < count; at += 1) edit(world, 'n1', `data/f${at}`, `${edited} ${at}`)
      world.start('n1')
      await until(world, () => world.process('n1').copy !== undefined)
      await until(world, () => (world.process('n1').copy?.history.length ?? 0) > 1)
      await world.run(afterMs)
      world.kill('n1')
      world.start('n2')
      await world.run(200)
      world.start('n1')
      await inStep(world)
      await world.run(2_000)
      const different = Array.from({ length: count }, (_, at) => `data/f${at}`).filter(
        (path) => onDisk(world, 'n1', path) !== onDisk(world, 'n2', path),
      )
      expect(different, `after ${afterMs} ms`).toEqual([])
      await allIsWell(world)
    }
  })

  it('OPS-2: loses nothing with writes to all of them at once and a switchover half-way', async () => {
    const count = 400
    const world = await stopped(2, count, { diskMs: 2 })
    world.strict = true
    const disk = world.machine('n1').storage.outside
    for (let at = 0; at < count; at += 1) {
      if (at % 4 === 0) disk.remove(`data/f${at}`)
      else edit(world, 'n1', `data/f${at}`, `${edited} ${at}`)
    }
    world.start('n1')
    const { node } = world.process('n1')
    const expected = new Map<string, string>()
    const writes: Promise<unknown>[] = []
    void node.whileActive(() => {
      for (let at = 0; at < count; at += 1) {
        const path = `data/f${at}`
        const isEdited = at % 4 !== 0
        if (at % 3 === 0) {
          if (isEdited) expected.set(path, `${edited} ${at}`)
          continue
        }
        const isAppend = at % 3 === 1
        expected.set(path, `${isAppend && isEdited ? `${edited} ${at}` : ''}new`)
        writes.push(isAppend ? node.files.append(path, 'new') : node.files.write(path, 'new'))
      }
    })
    world.start('n2')
    await until(world, () => node.status().inSync.includes('n2'))
    await world.settle(node.switchover())
    await world.settle(Promise.all(writes))
    await inStep(world)
    await world.run(3_000)
    expect(world.actives()).toEqual(['n2'])
    for (const id of ['n1', 'n2']) {
      const wrong = Array.from({ length: count }, (_, at) => `data/f${at}`).filter(
        (path) => onDisk(world, id, path) !== expected.get(path),
      )
      expect(wrong, id).toEqual([])
    }
    const kept = (await vaultOf(world, 'n1')).flatMap(({ files }) => files.map(({ path }) => path))
    expect(kept).toHaveLength(count)
    await allIsWell(world)
  })

  it('OPS-2: vaults an edited file before a change that it fetches as a candidate replaces it', async () => {
    const world = watched({ nodes: 3, observers: ['n3'] })
    world.startAll()
    await inStep(world)
    for (const at of [0, 1, 2]) {
      await world.settle(filesOf(world, 'n1').write(`data/f${at}`, `first ${at}`))
    }
    await inStep(world)
    await world.settle(world.stop('n2'))
    await world.settle(filesOf(world, 'n1').write('data/f0', 'second', { ack: 'local' }))
    await world.settle(filesOf(world, 'n1').append('data/f1', ' and more', { ack: 'local' }))
    await world.run(1_000)
    world.kill('n1')
    for (const at of [0, 1, 2]) edit(world, 'n2', `data/f${at}`, `edited ${at}`)
    world.start('n2')
    await until(world, () => world.actives().includes('n2'))
    world.start('n1')
    await inStep(world)
    await world.run(1_000)
    for (const id of ['n1', 'n2', 'n3']) {
      expect(onDisk(world, id, 'data/f0'), id).toBe('second')
      // The base of the change is lost: the file must be the same on all nodes, and both versions
      // in the vault.
      expect(onDisk(world, id, 'data/f1'), id).toBe('edited  and more')
      expect(onDisk(world, id, 'data/f2'), id).toBe('edited 2')
    }
    const incidents = await vaultOf(world, 'n2')
    const kept = await Promise.all(incidents.map((one) => keptIn(world, 'n2', one)))
    expect(kept.flat().sort()).toEqual([
      'data/f0=edited 0',
      'data/f1=edited 1',
      'data/f1=first 1 and more',
      'data/f2=first 2',
    ])
    await allIsWell(world)
  })

  it('OPS-2: adopts the rest while it serves, and keeps what the application writes meanwhile', async () => {
    const count = 4_000
    const world = await stopped(2, count)
    for (let at = 1; at < count; at += 1) edit(world, 'n1', `data/f${at}`, `${edited} ${at}`)
    world.machine('n1').storage.outside.remove('data/f0')
    const { faults } = world.machine('n1').storage
    faults.latency = (operation) => (operation === 'tree.read' ? 3_500 : 0)
    world.startAll()
    await until(world, () => world.actives().length > 0, 90_000)
    expect(world.actives()).toEqual(['n1'])
    expect(eventsOf(world, 'n1', 'outsideChange')).toMatchObject([{ outcome: 'kept', count }])
    faults.latency = undefined
    const files = filesOf(world, 'n1')
    const writes = [count - 10, count - 9, count - 8].map((at) => files.write(`data/f${at}`, 'new'))
    await world.settle(Promise.all(writes))
    await world.run(40_000)
    await inStep(world)
    for (const id of ['n1', 'n2']) {
      const wrong = Array.from({ length: count }, (_, at) => at).filter(
        (at) =>
          at > 0 &&
          onDisk(world, id, `data/f${at}`) !==
            (at >= count - 10 && at < count - 7 ? 'new' : `${edited} ${at}`),
      )
      expect(wrong, id).toEqual([])
      expect(onDisk(world, id, 'data/f0'), id).toBeUndefined()
    }
    expect(await textOn(world, 'n1', `data/f${count - 1}`)).toBe(`${edited} ${count - 1}`)
    await allIsWell(world)
  })

  it('OPS-2: is passed over when its disk hangs meanwhile, and later repairs what it did not adopt', async () => {
    const world = await stopped(2, 600)
    for (let at = 0; at < 600; at += 1) edit(world, 'n1', `data/f${at}`, `${edited} ${at}`)
    let reads = 0
    const { faults } = world.machine('n1').storage
    // The reads hang after the first half, which is journaled.
    faults.latency = (operation) => (operation === 'tree.read' && ++reads > 4 ? 40_000 : 1)
    world.startAll()
    await until(world, () => world.actives().length > 0, 60_000)
    expect(world.actives()).toEqual(['n2'])
    await write(world, 'n2', 'data/f0', { ack: 'local' })
    await until(world, () => world.process('n1').node.role === 'standby', 200_000)
    faults.latency = undefined
    await inStep(world)
    await world.run(1_000)
    const different = Array.from({ length: 600 }, (_, at) => `data/f${at}`).filter(
      (path) => onDisk(world, 'n1', path) !== onDisk(world, 'n2', path),
    )
    expect(different).toEqual([])
    const kept = (await vaultOf(world, 'n1')).flatMap(({ files }) => files.map(({ path }) => path))
    expect(new Set(kept).size).toBe(600)
    await allIsWell(world)
  })

  it('OPS-2: serves with a full vault, and leaves changes that would replace something', async () => {
    const world = await stopped(2, 3, { choices: { vaultBytesMax: 10 } })
    edit(world, 'n1', 'data/f0')
    edit(world, 'n1', 'data/f1')
    edit(world, 'n1', 'data/new')
    world.start('n1')
    await until(world, () => world.actives().includes('n1'))
    expect(eventsOf(world, 'n1', 'outsideChange')).toMatchObject([
      { paths: ['data/new'], outcome: 'adopted' },
      { paths: ['data/f0', 'data/f1'], outcome: 'kept' },
    ])
    expect(eventsOf(world, 'n1', 'error')).toMatchObject([{ code: 'VAULT_FULL' }])
    expect(onDisk(world, 'n1', 'data/f0')).toBe(edited)
    expect(await textOn(world, 'n1', 'data/f0')).toBe('CHANGED_OUTSIDE')
    await world.settle(filesOf(world, 'n1').write('data/f0', 'written anew'))
    expect(await textOn(world, 'n1', 'data/f0')).toBe('written anew')
    // Adopting is tried again while the node is active, because there may be space by then; later
    // writes stay.
    world.start('n2')
    await inStep(world)
    const storage = world.machine('n1').storage
    storage.outside.write('data/f1', Buffer.from('first 1'))
    await world.run(40_000)
    expect(await textOn(world, 'n1', 'data/f1')).toBe('first 1')
    expect(await textOn(world, 'n1', 'data/f0')).toBe('written anew')
    noViolation(world)
    await allIsWell(world)
  })

  it('OPS-2: serves once a disk that was full meanwhile has space again', async () => {
    const world = await stopped(1, 2)
    edit(world, 'n1', 'data/f0')
    const { faults } = world.machine('n1').storage
    world.start('n1')
    await until(world, () => (world.process('n1').copy?.history.length ?? 0) > 0)
    faults.full = true
    await world.run(3_000)
    faults.full = false
    await until(world, () => world.actives().includes('n1'))
    await world.run(1_000)
    const outcomes = eventsOf(world, 'n1', 'outsideChange') as { outcome: string }[]
    expect(outcomes).toHaveLength(1)
    quit(world)
  })

  it('OPS-2: is not passed over while adopting takes longer than the time for opening a term', async () => {
    const count = 1_100
    const world = await stopped(3, count)
    for (let at = 0; at < count; at += 1) edit(world, 'n1', `data/f${at}`, `${edited} ${at}`)
    world.startAll()
    const beganMs = world.nowMs
    const { faults } = world.machine('n1').storage
    // Several batches, each as slow as on a busy disk.
    faults.latency = (operation) => (operation === 'tree.read' ? 2_000 : 1)
    await inStep(world)
    expect(world.actives()).toEqual(['n1'])
    expect(world.nowMs - beganMs).toBeGreaterThan(3 * 2 * deadMs)
    const became = ['n1', 'n2', 'n3'].map((id) =>
      roles(world, id).filter((one) => one === 'active'),
    )
    expect(became).toEqual([['active', 'active'], [], []])
    faults.latency = undefined
    await allIsWell(world)
  })
})
