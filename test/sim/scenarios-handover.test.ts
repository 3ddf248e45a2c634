import { describe, expect, it } from 'vitest'
import type { WriteRecord } from '../../src/testing/simulator/record/writes.js'
import { Workload } from '../../src/testing/simulator/workload.js'
import type { World } from '../../src/testing/simulator/world.js'
import { allIsWell, answer, code, quit, settled, until } from './support.js'

// What a planned end of the role means for writes that are sequenced and not acknowledged yet.

/** Makes a write with the level `all` every ten milliseconds, for `ms` milliseconds. */
async function writeToAll(world: World, ms: number): Promise<WriteRecord[]> {
  const load = new Workload(world)
  const records: WriteRecord[] = []
  for (let at = 0; at < ms / 10; at += 1) {
    const action = { kind: 'put', path: `data/a${at}`, bytes: new Uint8Array([at]) } as const
    records.push(load.write(world.process('n1'), action, { ack: 'all', durability: 'disk' }))
    await world.run(10)
  }
  return records
}

function outcomesOf(records: readonly WriteRecord[]): string[] {
  return [...new Set(records.map(code))].sort()
}

describe('a planned end of the role', () => {
  it('ROL-12: waits for the acknowledgements of a slower standby, and the next active acknowledges writes queued meanwhile', async () => {
    const world = await settled({ nodes: 3 })
    world.links.slow('n1', 'n3', 150)
    const before = await writeToAll(world, 400)
    const switching = answer(world, world.process('n1').node.switchover({ to: 'n2' }))
    const during = await writeToAll(world, 100)
    expect(await switching).toBe('done')
    await until(world, () => [...before, ...during].every((one) => code(one) !== 'open'))
    expect(outcomesOf([...before, ...during])).toEqual(['acknowledged'])
    await allIsWell(world)
  })

  it('ROL-12: does the same when a stop hands over', async () => {
    const world = await settled({ nodes: 3 })
    world.links.slow('n1', 'n3', 150)
    const records = await writeToAll(world, 400)
    await world.settle(world.stop('n1'))
    expect(outcomesOf(records)).toEqual(['acknowledged'])
    await until(world, () => world.actives().length === 1)
    quit(world)
  })

  it('ROL-12: is cancelled when an acknowledgement does not arrive in time', async () => {
    const choices = { switchoverMs: 1_000, degradeAfterMs: 3_000 }
    const world = await settled({ nodes: 3, choices })
    world.links.cut('n1', 'n3')
    const records = await writeToAll(world, 50)
    expect(await answer(world, world.process('n1').node.switchover({ to: 'n2' }))).toBe(
      'SWITCHOVER_FAILED',
    )
    expect(world.actives()).toEqual(['n1'])
    await until(world, () => records.every((one) => code(one) !== 'open'))
    expect(outcomesOf(records)).toEqual(['acknowledged'])
    world.links.heal()
    await allIsWell(world)
  })

  it('GEN-8: by a stop does not wait for a standby while writes are blocked', async () => {
    const world = await settled({ nodes: 2, choices: { onNoStandby: 'block' } })
    world.kill('n2')
    await until(world, () => world.process('n1').node.status().inSync.length === 0)
    const records = await writeToAll(world, 50)
    const beganMs = world.nowMs
    await world.settle(world.stop('n1'))
    expect(world.nowMs - beganMs).toBeLessThan(500)
    expect(outcomesOf(records)).toEqual(['OUTCOME_UNKNOWN'])
    quit(world)
  })
})
