/**
 * Forks in clusters where nothing was written yet: the active dies before any standby has its first
 * write.
 */
import { describe, expect, it } from 'vitest'
import type { VaultIncident } from '../../src/copy/vault/incident.js'
import type { World } from '../../src/testing/simulator/world.js'
import { allIsWell, eventsOf, inStep, quit, settled, until, watched, write } from './support.js'

/**
 * The first write reaches only the active, which dies; answers the number of changes on its disk.
 */
async function loseFirst(world: World, id: string): Promise<number> {
  const others = world.members.filter((one) => one.id !== id)
  world.links.partition(
    [id],
    others.map((one) => one.id),
  )
  const { outcome } = await write(world, id, 'data/lost', { ack: 'local' })
  expect(outcome.kind).toBe('acknowledged')
  await write(world, id, 'data/both', { ack: 'local' })
  const seq = world.process(id).copy?.seq ?? 0
  world.kill(id)
  world.links.heal({ break: true })
  expect(world.processes.map(({ copy }) => copy?.seq).filter((one) => one !== 0)).toEqual([])
  return seq
}

/** Expects that the old active came back, and that its vault has what only it had. */
function keptAll(world: World, id: string, changes: number): void {
  expect(eventsOf(world, id, 'refused')).toEqual([])
  const vaulted = eventsOf(world, id, 'vaulted') as { incident: VaultIncident }[]
  expect(vaulted.map(({ incident }) => [incident.reason, incident.changes.length])).toEqual([
    ['divergence', changes],
  ])
}

describe('a first write that no standby has', () => {
  it.each([2, 3])('of %i nodes: the old active vaults it and follows', async (nodes) => {
    const world = await settled({ nodes })
    const changes = await loseFirst(world, 'n1')
    await until(world, () => world.actives().includes('n2'))
    await write(world, 'n2', 'data/both', { ack: 'local' })
    world.start('n1')
    await inStep(world)
    expect(world.actives()).toEqual(['n2'])
    await allIsWell(world)
    keptAll(world, 'n1', changes)
  })

  it('does not prevent the old active from following when the survivor wrote nothing', async () => {
    const world = await settled({ nodes: 2 })
    await loseFirst(world, 'n1')
    await until(world, () => world.actives().includes('n2'))
    await world.run(1_000)
    world.start('n1')
    await allIsWell(world)
    expect(eventsOf(world, 'n1', 'refused')).toEqual([])
  })

  it('is vaulted when several terms without changes precede the first write of the survivor', async () => {
    const world = await settled({ nodes: 3 })
    const changes = await loseFirst(world, 'n1')
    for (const active of ['n2', 'n3', 'n2']) {
      const other = active === 'n2' ? 'n3' : 'n2'
      await until(world, () => {
        if (!world.actives().includes(active)) return false
        const { peers } = world.process(active).node.status()
        return peers.some(({ id, inSync, role }) => id === other && inSync && role === 'standby')
      })
      await world.settle(world.process(active).node.switchover())
      await world.run(1_000)
    }
    const [active = 'n2'] = world.actives()
    await write(world, active, 'data/both', { ack: 'standby' })
    world.start('n1')
    await allIsWell(world)
    keptAll(world, 'n1', changes)
  })

  it('is vaulted when a member that joined after terms without changes serves alone', async () => {
    const world = watched({ nodes: 3 })
    world.start('n1')
    world.start('n2')
    await until(world, () => world.process('n2').node.role === 'standby')
    const changes = await loseFirst(world, 'n1')
    await until(world, () => world.actives().includes('n2'))
    world.start('n3')
    await until(world, () => world.process('n3').node.role === 'standby')
    await until(world, () => world.process('n2').node.status().inSync.includes('n3'))
    world.kill('n2')
    await until(world, () => world.actives().includes('n3'))
    await write(world, 'n3', 'data/both', { ack: 'local' })
    world.start('n1')
    world.start('n2')
    await allIsWell(world)
    keptAll(world, 'n1', changes)
  })

  it('on each of two nodes that began alone leaves their histories unrelated, and nothing is vaulted', async () => {
    const world = watched({ nodes: 2 })
    for (const id of ['n1', 'n2']) {
      world.start(id)
      await until(world, () => world.actives().includes(id))
      await write(world, id, `data/${id}`, { ack: 'local' })
      world.kill(id)
    }
    world.start('n1')
    world.start('n2')
    const stuck = () => ['n1', 'n2'].map((id) => world.process(id).node.status().stuck ?? '').join()
    await until(world, () => stuck().includes('HISTORY_UNRELATED'), 60_000)
    await world.run(5_000)
    expect(world.events.filter(({ name }) => name === 'vaulted')).toEqual([])
    quit(world)
  })
})
