/** Schedules in which a wrong order of steps breaks a promise; the checkers watch every step. */

import { describe, expect, it } from 'vitest'
import type { Connection } from '../../src/interfaces/transport.js'
import { frameTypes } from '../../src/replication/frame-types.js'
import { Workload } from '../../src/testing/simulator/workload.js'
import type { World } from '../../src/testing/simulator/world.js'
import {
  allIsWell,
  busy,
  eventsOf,
  inStep,
  noViolation,
  quit,
  settled,
  until,
  write,
} from './support.js'

/**
 * Makes streams to a node deliver everything later than its other connections, from the first entry
 * on.
 */
function slowStream(world: World, address: string, delayMs: number): void {
  const { network } = world
  const transport = network.transport.bind(network)
  const delay = (connection: Connection): Connection => {
    let receive: (frame: Uint8Array) => void = () => undefined
    let isSlow = false
    const onFrame = connection.onFrame.bind(connection)
    connection.onFrame = (receiver) => {
      receive = receiver
      onFrame((frame) => {
        isSlow ||= frame[0] === frameTypes.entry
        const copy = frame.slice()
        if (isSlow) world.later(delayMs, () => receive(copy))
        else receive(frame)
      })
    }
    return connection
  }
  network.transport = (own) => {
    const inner = transport(own)
    if (own !== address) return inner
    return { ...inner, dial: async (...to) => delay(await inner.dial(...to)) }
  }
}

describe('the order of steps', () => {
  it('a standby leaves the in-sync set before it is restored', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1', 'data/file')
    await inStep(world)
    world
      .machine('n2')
      .storage.outside.write('data/file', new TextEncoder().encode('longer than it was'))
    const load = new Workload(world)
    load.write(world.process('n1'), { kind: 'append', path: 'data/file', bytes: new Uint8Array(3) })
    await until(world, () => eventsOf(world, 'n1', 'restored').length > 1)
    const methods = eventsOf(world, 'n1', 'restored').map(
      (event) => (event as { method: string }).method,
    )
    expect(methods).toContain('delta')
    await allIsWell(world)
  })

  it('a restore switches over only when its journal has everything that was read', async () => {
    const world = await settled({ nodes: 2 })
    for (let file = 0; file < 30; file += 1) await write(world, 'n1', `data/file${file}`)
    slowStream(world, 'n2:1', 400)
    const load = busy(world, 5)
    world.replaceDisk('n2')
    world.powerOn('n2')
    world.start('n2')
    await until(world, () => eventsOf(world, 'n2', 'restored').length > 1, 60_000)
    load.pause()
    await allIsWell(world)
  })

  it('a promise does not wait for a restore switch, which continues and does not delay serving', async () => {
    const world = await settled({ nodes: 3 })
    for (let file = 0; file < 30; file += 1) await write(world, 'n1', `data/file${file}`)
    await inStep(world)
    const load = busy(world, 20)
    world.replaceDisk('n3')
    world.powerOn('n3')
    const n3 = world.machine('n3')
    n3.joins = true
    let installs = false
    n3.slow((operation) => {
      if (operation !== 'tree.takeIn') return 0
      installs = true
      return 300
    })
    world.start('n3')
    // The restore is moving its files into place when the active dies.
    await until(world, () => installs, 60_000)
    world.kill('n1')
    const promised = (): boolean =>
      world
        .process('n3')
        .node.explain()
        .some(({ rule, outcome }) => {
          return rule === 'promise' && outcome === 'given'
        })
    // The node that asked for the promise is gone, too, so only the old stream could change this
    // copy.
    await until(world, promised)
    world.kill('n2')
    load.pause()
    await world.run(1_000)
    world.start('n2')
    await world.run(3_000)
    noViolation(world)
    world.start('n1')
    await allIsWell(world)
  })

  it('no entry of an old stream is appended after a promise', async () => {
    let open: (() => void) | undefined
    const gate = {
      mayBecomeActive: (): Promise<boolean> =>
        new Promise((resolve) => {
          open = () => resolve(true)
        }),
    }
    const world = await settled({
      nodes: 3,
      choicesOf: (id) => (id === 'n2' ? { gate } : {}),
    })
    await write(world, 'n1')
    await inStep(world)
    const load = busy(world, 20)
    world.links.partition(['n1'], ['n2', 'n3'])
    // What n1 wrote meanwhile is in flight to both nodes when the links are back.
    await until(world, () => open !== undefined)
    world.links.heal()
    await world.run(1_000)
    open?.()
    await world.run(3_000)
    load.pause()
    noViolation(world)
    quit(world)
  })

  it('a handover names the last position of the node that hands over', async () => {
    const world = await settled({ nodes: 2, diskMs: 20 })
    const load = busy(world, 3)
    await world.run(500)
    await world.settle(world.process('n1').node.switchover())
    load.pause()
    await allIsWell(world)
  })
})
