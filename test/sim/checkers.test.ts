/** A checker that cannot fail proves nothing, so each one is shown a broken promise. */
import { describe, expect, it } from 'vitest'
import { flow } from '../../src/testing/simulator/checkers/flow.js'
import type { WriteRecord } from '../../src/testing/simulator/record/writes.js'
import { recover } from '../../src/testing/simulator/recovery.js'
import { Workload } from '../../src/testing/simulator/workload.js'
import type { World } from '../../src/testing/simulator/world.js'
import { busy, inStep, quit, settled, until, watched, write } from './support.js'

const bytes = new TextEncoder().encode('something else')

/** The checkers that reported a violation. */
function complaints(world: World): string[] {
  return [...new Set(world.violations.map(({ checker }) => checker))]
}

/** Two nodes that never connect, because each has a different secret. */
function estranged(): World {
  return watched({
    nodes: 2,
    secure: false,
    choicesOf: (id) => ({ secret: `a secret that only ${id} knows` }),
    choices: { startupWaitMs: 1_000 },
  })
}

/** Pretends that a write was acknowledged at this position. */
function lie(world: World, id: string, seq: number): WriteRecord {
  const { term } = world.process(id).node.status()
  if (term === undefined) throw new Error(`${id} is not active`)
  const receipt = {
    position: { term, seq },
    ack: 'standby',
    durable: true,
    degraded: false,
  } as const
  const record: WriteRecord = {
    id: world.writes.length + 1,
    process: world.process(id),
    action: { kind: 'put', path: 'data/lie', bytes },
    ack: 'standby',
    durability: 'disk',
    submittedMs: world.nowMs,
    settledMs: world.nowMs,
    outcome: { kind: 'acknowledged', receipt },
  }
  world.writes.push(record)
  return record
}

describe('checkers', () => {
  it('one-writer reports two writes at one position, and a stale active that acknowledges', async () => {
    const world = await settled()
    await write(world, 'n1')
    world.settled(lie(world, 'n1', 1), world.process('n1'))
    expect(complaints(world)).toContain('one-writer')
    quit(world)

    const other = await settled()
    await write(other, 'n1')
    const old = lie(other, 'n1', 1)
    other.pauses.freeze('n1', 60_000)
    await until(other, () => other.process('n2').node.role === 'active')
    other.pauses.thaw('n1')
    other.settled(old, other.process('n1'))
    expect(other.violations.map(({ message }) => message).join()).toContain('after a pause')
    quit(other)
  })

  it('single-active reports two actives while all links work', async () => {
    const world = estranged()
    world.startAll()
    await world.run(3_000)
    // Neither serves by itself while the other one answers; two orders make two actives.
    expect(world.actives()).toEqual([])
    for (const { node } of world.processes) {
      const withoutPeers = ['n1', 'n2'].filter((id) => id !== node.id)
      await world.settle(node.takeOver({ withoutPeers }))
    }
    await until(world, () => world.actives().length === 2)
    await world.run(3_000)
    expect(complaints(world)).toContain('single-active')
    quit(world)
  })

  it('acknowledged reports a write that no standby has, at once and at the end', async () => {
    const world = await settled()
    world.settled(lie(world, 'n1', 99), world.process('n1'))
    expect(complaints(world)).toEqual(['acknowledged'])
    world.violations.length = 0
    await world.quiet()
    expect(complaints(world)).toContain('acknowledged')
    quit(world)
  })

  it('vaulted reports an acknowledged write that is nowhere, and a history that goes back', async () => {
    const world = await settled()
    lie(world, 'n1', 99)
    await world.quiet()
    expect(complaints(world)).toContain('vaulted')
    quit(world)

    const other = await settled({ nodes: 2 })
    await write(other, 'n1')
    await inStep(other)
    await other.run(200)
    await other.settle(other.stop('n2'))
    // A node that loses its journal has lost durable data.
    const { storage } = other.machine('n2')
    const opened = await other.settle(storage.open({ nodeId: 'n2', bootId: 'thief' }))
    const logs = await other.settle(opened.logs.list('journal'))
    await other.settle(
      opened.logs.remove(
        'journal',
        logs.map(({ name }) => name),
      ),
    )
    storage.outside.remove('data/file')
    for (const name of await other.settle(opened.documents.list(''))) {
      if (name !== 'meta') await other.settle(opened.documents.remove(name))
    }
    await other.settle(opened.close())
    other.start('n2')
    await inStep(other)
    expect(complaints(other)).toContain('vaulted')
    quit(other)
  })

  it('complete and history report a file that differs from what was written', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1', 'data/file')
    await inStep(world)
    world.machine('n2').storage.outside.write('data/file', bytes)
    await world.quiet()
    expect(complaints(world)).toEqual(['complete'])
    world.violations.length = 0
    world.machine('n1').storage.outside.write('data/file', bytes)
    await world.quiet()
    expect(complaints(world)).toEqual(['history'])
    quit(world)
  })

  it('history reports a refused change that was applied', async () => {
    const world = await settled({ nodes: 2 })
    const load = new Workload(world)
    const record = load.write(world.process('n1'), { kind: 'update', name: 'red', fails: false })
    await inStep(world)
    record.outcome = { kind: 'refused', code: 'NOT_ACTIVE' }
    await world.quiet()
    expect(complaints(world)).toEqual(['history'])
    quit(world)
  })

  it('untouched reports a changed local file', async () => {
    const world = await settled({ nodes: 2 })
    world.machine('n2').storage.outside.write('logs/server.log', bytes)
    await world.quiet()
    expect(complaints(world)).toEqual(['untouched'])
    quit(world)
  })

  it('stranger reports an intruder that does know the secret', async () => {
    const secret = 'the secret of this cluster'
    const world = watched({ nodes: 3, secure: false, choices: { secret }, intruderKnows: secret })
    const { intruder } = world
    if (intruder === undefined) throw new Error('no intruder')
    world.start('n1')
    world.start('n2')
    const load = busy(world, 50)
    await until(world, () => world.actives().length === 1)
    world.start(intruder.id, intruder)
    await world.run(8_000)
    load.pause()
    await world.quiet()
    expect(complaints(world)).toContain('stranger')
    world.kill('stranger', intruder)
    quit(world)
  })

  it.each([
    ['nobody in sync although nothing is wrong', { inSync: [] }, 'nobody is in sync with n1'],
    ['a pace although nobody lags', { pace: { peer: 'n2' } }, 'n1 paces its writers for n2'],
    ['nothing', {}, undefined],
  ])('flow: %s', async (_, lies, complaint) => {
    const world = await settled({ nodes: 2 })
    const told: string[] = []
    const checker = flow(world, (message) => told.push(message))
    const process = world.process(world.actives()[0] ?? 'n1')
    for (let second = 0; second < 60; second += 1) {
      await world.run(1000)
      checker.observe?.(process, { ...process.node.status(), ...(lies as object) })
    }
    if (complaint === undefined) expect(told).toEqual([])
    else expect(told[0]).toContain(complaint.replace('n1', process.id))
    quit(world)
  })

  it('recovery reports a cluster that cannot recover', async () => {
    const world = estranged()
    const load = new Workload(world)
    expect(await recover(world, world.random, load)).toBe(false)
    expect(complaints(world)).toContain('recovery')
    quit(world)
  })
})
