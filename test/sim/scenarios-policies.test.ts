/** Members whose policies differ for a while. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { PeerIdentities } from '../../src/node/peers/peer-identities.js'
import type {
  DifferingPolicy,
  PolicyDifference,
} from '../../src/testing/simulator/machine/policies.js'
import { policyDifferences } from '../../src/testing/simulator/machine/policies.js'
import type { World } from '../../src/testing/simulator/world.js'
import { allIsWell, inStep, noViolation, quit, until, watched, write } from './support.js'

function differs(difference: PolicyDifference, fromBoot: number): DifferingPolicy {
  return { difference, fromBoot, boots: Number.POSITIVE_INFINITY }
}

/** Restarts a standby that was in step, with another policy. */
async function restarted(difference: PolicyDifference): Promise<World> {
  const world = watched({ policies: { n2: differs(difference, 2) } })
  world.startAll()
  await inStep(world)
  await world.settle(world.stop('n2'))
  await write(world, 'n1', 'data/while-it-was-down')
  world.start('n2')
  await until(world, () => stuck(world, 'n2').startsWith('POLICY_MISMATCH'))
  return world
}

function stuck(world: World, id: string): string {
  return world.process(id).node.status().stuck ?? ''
}

/** The violations that the checker of policies reported. */
function complaints(world: World): string[] {
  return world.violations
    .filter(({ checker }) => checker === 'policies')
    .map(({ message }) => message)
}

describe('a policy that differs', () => {
  it.each(policyDifferences)(
    'a standby with another policy (%s) gets no data, is passed over, and follows once it has the right one',
    async (difference) => {
      const world = await restarted(difference)
      world.kill('n1')
      await until(world, () => world.actives().length === 1)
      expect(world.actives()).toEqual(['n3'])
      await write(world, 'n3', 'data/after')
      world.start('n1')
      await until(world, () => world.process('n3').node.status().inSync.includes('n1'))
      expect(world.process('n3').node.status().inSync).not.toContain('n2')
      expect(stuck(world, 'n2')).toContain('POLICY_MISMATCH')
      world.deployPolicy('n2')
      world.kill('n2')
      world.start('n2')
      await allIsWell(world)
    },
  )

  it('a member with another policy that alone has all data serves, and the others follow once it has theirs', async () => {
    const world = watched({ policies: { n1: differs('more', 1) } })
    world.startAll()
    await until(world, () => stuck(world, 'n3').startsWith('POLICY_MISMATCH'))
    expect(world.actives()).toEqual(['n1'])
    world.deployPolicy('n1')
    world.kill('n1')
    world.start('n1')
    await allIsWell(world)
  })
})

describe('a write that a process acknowledged from memory under another policy', () => {
  it.each([
    ['the same policy', {}],
    ['a policy without memory', { n3: differs('durability', 2) }],
    ['a policy without that class', { n3: differs('fewer', 2) }],
  ])(
    "GEN-2: with 'hold', a standby whose power failed may have forgotten it (%s)",
    async (_, policies) => {
      const choices = { onMissingPeer: 'hold' as const }
      const world = watched({ policies, choices, diskMs: 50 })
      world.startAll()
      await inStep(world)
      await write(world, 'n1')
      await inStep(world)
      void write(world, 'n1', 'quick/last', { durability: 'memory' })
      await world.run(10)
      world.powerOff('n1')
      world.powerOff('n3')
      world.powerOn('n3')
      world.start('n3')
      await world.run(30_000)
      expect(world.actives()).toEqual([])
      noViolation(world)
      quit(world)
    },
  )
})

describe('the checker of policies', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  it('reports a member with another policy that follows and counts as in sync', async () => {
    // Disables the comparison of classes.
    vi.spyOn(PeerIdentities.prototype, 'met').mockReturnValue(undefined)
    const world = watched({ policies: { n2: differs('pattern', 1) } })
    world.startAll()
    await until(world, () => world.process('n1').node.status().inSync.includes('n2'))
    await world.run(1_000)
    expect(complaints(world).join('\n')).toContain('n2 counts as in sync with n1')
    expect(complaints(world).join('\n')).toContain('n2 is standby of n1')
    quit(world)
  })

  it('reports a member that does not report why it does not take part', async () => {
    const world = await restarted('pattern')
    world.tell((checker) => checker.judge?.())
    noViolation(world)
    const { node } = world.process('n2')
    const status = node.status.bind(node)
    node.status = () => ({ ...status(), causes: [], stuck: undefined })
    world.tell((checker) => checker.judge?.())
    expect(complaints(world)).toEqual(['n2 is restoring, and does not say that its policy differs'])
    quit(world)
  })

  it('reports a member that becomes active beside later data that it cannot get', async () => {
    const world = await restarted('fewer')
    const process = world.process('n2')
    const event = { from: 'restoring', role: 'active' }
    world.tell((checker) => checker.event?.(process, { name: 'role', node: 'n2', event } as never))
    expect(complaints(world)).toContain(
      'n2 becomes active beside n1, whose data is later and is refused to it',
    )
    quit(world)
  })
})
