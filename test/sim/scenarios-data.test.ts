import { describe, expect, it } from 'vitest'
import {
  allIsWell,
  busy,
  code,
  eventsOf,
  inStep,
  noViolation,
  quit,
  roles,
  settled,
  until,
  watched,
  write,
} from './support.js'

const deadMs = 2_000
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

describe('acknowledged writes', () => {
  it('GEN-2 and SYN-1: when the active is killed at any time, nothing acknowledged is lost (100 rounds)', {
    timeout: 60_000,
  }, async () => {
    let acknowledged = 0
    for (let seed = 1; seed <= 10; seed += 1) {
      const world = await settled({
        seed,
        nodes: 2 + (seed % 2),
        diskMs: seed % 4,
        latencyMs: 1 + (seed % 3),
      })
      world.strict = true
      const load = busy(world, 10)
      for (let round = 0; round < 10; round += 1) {
        await world.run(100 + world.random.below(200))
        const [active = ''] = world.actives()
        world.kill(active)
        await until(world, () => world.actives().length === 1)
        world.start(active)
        await until(world, () => world.process(active).node.role === 'standby')
        load.pause()
        await inStep(world)
        load.resume()
      }
      load.pause()
      acknowledged += world.writes.filter(({ outcome }) => outcome.kind === 'acknowledged').length
      await allIsWell(world)
    }
    expect(acknowledged).toBeGreaterThan(1_000)
  })

  it('GEN-2: entries that an earlier stream sent and that are not durable do not count on a new stream', async () => {
    const world = await settled({ nodes: 2 })
    const { faults } = world.machine('n2').storage
    faults.latency = (operation) => (operation === 'log.append' ? 1_500 : 0)
    world.later(100, () => world.network.breakConnections('n1:1', 'n2:1'))
    const beganMs = world.nowMs
    const { outcome } = await write(world, 'n1')
    expect(outcome).toMatchObject({
      kind: 'acknowledged',
      receipt: { ack: 'standby', durable: true },
    })
    expect(world.nowMs - beganMs).toBeGreaterThanOrEqual(1_500)
    faults.latency = undefined
    await allIsWell(world)
  })

  it('GEN-8: a full disk of a standby is reported and does not affect the active', async () => {
    const world = await settled()
    world.machine('n2').storage.faults.full = true
    const load = busy(world, 50)
    await until(world, () => eventsOf(world, 'n2', 'storageFailed').length > 0)
    await until(world, () => !world.process('n1').node.status().inSync.includes('n2'))
    await world.run(2_000)
    expect(world.actives()).toEqual(['n1'])
    expect((await write(world, 'n1')).outcome.kind).toBe('acknowledged')
    world.machine('n2').storage.faults.full = false
    await world.run(3_000)
    load.pause()
    await allIsWell(world)
  })

  it('SYN-34: a flood of writes causes no failover', async () => {
    const world = await settled({ nodes: 2, latencyMs: 2 })
    for (const [from, to] of [
      ['n1', 'n2'],
      ['n2', 'n1'],
    ] as const) {
      world.network.setLink(`${from}:1`, `${to}:1`, { bytesPerSecond: 400_000 })
    }
    const endMs = world.nowMs + 10 * deadMs
    while (world.nowMs < endMs) {
      const waiting = world.writes.filter(({ outcome }) => outcome.kind === 'open').length
      if (waiting < 8) void write(world, 'n1', `data/${world.random.below(4)}`, { bytes: 60_000 })
      await world.run(20)
    }
    expect(world.actives()).toEqual(['n1'])
    expect(roles(world, 'n2')).not.toContain('active')
    await allIsWell(world)
  })
})

describe('remote restore', () => {
  it('SYN-2: a joining node is restored once, and then gets updates only', async () => {
    const world = await settled({ nodes: 2 })
    const load = busy(world, 50)
    await world.run(10_000)
    load.pause()
    expect(eventsOf(world, 'n2', 'restored')).toHaveLength(1)
    await allIsWell(world)
  })

  it('SYN-3: a file that was added to a stopped standby is moved into its vault', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1', 'data/known')
    await inStep(world)
    await world.settle(world.stop('n2'))
    world.machine('n2').storage.outside.write('data/alien', text('from outside'))
    world.start('n2')
    await inStep(world)
    expect(world.machine('n2').storage.outside.read('data/alien')).toBeUndefined()
    const incidents = await world.settle(world.process('n2').node.vault.list())
    expect(incidents.flatMap(({ files }) => files.map(({ path }) => path))).toContain('data/alien')
    await allIsWell(world)
  })

  it('SYN-22: local files survive a restore, a failover and a failback', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1')
    world.kill('n1')
    await until(world, () => world.actives()[0] === 'n2')
    await write(world, 'n2')
    world.start('n1')
    await inStep(world)
    world.kill('n2')
    await until(world, () => world.actives()[0] === 'n1')
    world.start('n2')
    // A checker compares the local files of each machine.
    await allIsWell(world)
  })

  it('SYN-31: writes during a restore are applied exactly once', async () => {
    const world = watched({ nodes: 2, choices: { restoreBytesPerSecondMax: 60_000 } })
    world.start('n1')
    await until(world, () => world.actives().length === 1)
    for (let file = 0; file < 10; file += 1)
      await write(world, 'n1', `data/large${file}`, { bytes: 30_000, ack: 'local' })
    world.start('n2')
    const load = busy(world, 30)
    await until(world, () => world.process('n2').node.role === 'restoring')
    await until(world, () => world.process('n2').node.role === 'standby', 60_000)
    expect(eventsOf(world, 'n2', 'restored')).toMatchObject([{ method: 'full' }])
    const slow = world.writes.filter(
      ({ settledMs, submittedMs }) => (settledMs ?? world.nowMs) - submittedMs > 100,
    )
    expect(slow).toEqual([])
    await world.run(500)
    load.pause()
    await allIsWell(world)
  })

  it('ROL-16: a standby with an unfinished restore does not take over', async () => {
    const world = watched({ nodes: 2, choices: { restoreBytesPerSecondMax: 60_000 } })
    world.start('n1')
    await until(world, () => world.actives().length === 1)
    for (let file = 0; file < 10; file += 1)
      await write(world, 'n1', `data/large${file}`, { bytes: 30_000, ack: 'local' })
    world.start('n2')
    await until(world, () => world.process('n2').node.role === 'restoring')
    await world.run(2_500)
    world.kill('n1')
    await world.run(30_000)
    expect(world.actives()).toEqual([])
    world.start('n1')
    await inStep(world, 60_000)
    expect(world.actives()).toEqual(['n1'])
    await allIsWell(world)
  })

  it('SYN-33: a standby that is killed during a restore still has its old copy', async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const world = await settled({
        seed,
        nodes: 2,
        diskMs: 2,
        choices: { allowStale: true, startupWaitMs: 1_000 },
      })
      const old = await write(world, 'n1', 'data/old')
      await inStep(world)
      await world.settle(world.stop('n2'))
      world.machine('n2').storage.outside.write('data/alien', text('makes it a restore'))
      for (let file = 0; file < 5; file += 1)
        await write(world, 'n1', `data/new${file}`, { bytes: 50_000 })
      world.start('n2')
      await until(world, () => world.process('n2').node.role === 'restoring')
      await world.run(world.random.below(60))
      world.kill('n2')
      world.kill('n1')
      world.start('n2')
      await until(world, () => world.actives()[0] === 'n2', 60_000)
      const { node } = world.process('n2')
      expect(node.status().complete).toBe(true)
      expect((await world.settle(node.files.read('data/old'))).length).toBeGreaterThan(20)
      expect(old.outcome.kind).toBe('acknowledged')
      noViolation(world)
      quit(world)
    }
  })
})

describe('a fetch before a takeover', () => {
  it('GEN-2: ends with its round, and the next round fetches the rest', async () => {
    const world = await settled({ observers: ['n3'], choices: { startupWaitMs: 1_000 } })
    await write(world, 'n1')
    await world.run(500)
    world.kill('n2')
    for (let file = 0; file < 24; file += 1) {
      await write(world, 'n1', `data/new${file}`, { bytes: 500_000, ack: 'local' })
    }
    await until(world, () => world.process('n3').copy?.durableSeq === world.process('n1').copy?.seq)
    const all = world.process('n3').copy?.seq
    world.kill('n1')
    world.network.setLink('n3:1', 'n2:1', { bytesPerSecond: 1_500_000 })
    world.start('n2')
    const { node } = world.process('n2')
    await until(world, () =>
      node.explain().some(({ rule, outcome }) => rule === 'round.data' && outcome === 'fetch'),
    )
    await world.run(500)
    // Its round is given up because it was late, while the answers are still in flight.
    world.pauses.freeze('n2', 2_500)
    await until(world, () => node.role === 'active', 120_000)
    expect(world.process('n2').copy?.seq).toBe(all)
    quit(world)
  })
})

describe('data that cannot be handed over', () => {
  it('is vaulted by an observer that alone has the last changes and whose journal was trimmed', async () => {
    const choices = { journalBytesMax: 1024 * 1024, startupWaitMs: 1_000 }
    const world = await settled({ observers: ['n3'], choices })
    await write(world, 'n1')
    await inStep(world)
    await world.settle(world.stop('n2'))
    for (let file = 0; file < 10; file += 1) {
      await write(world, 'n1', `data/new${file}`, { bytes: 500_000, ack: 'local' })
      await world.run(3_000)
    }
    world.kill('n1')
    world.kill('n3')
    world.start('n2')
    world.start('n3')
    await until(world, () => world.actives()[0] === 'n2', 60_000)
    expect(eventsOf(world, 'n2', 'possibleLoss')).toMatchObject([{ missing: ['n3'] }])
    // It follows although nothing is written.
    await until(world, () => world.process('n3').node.role === 'standby', 10_000)
    expect(eventsOf(world, 'n3', 'vaulted')).toHaveLength(1)
    world.start('n1')
    await allIsWell(world)
  })
})

describe('a losing active that was stopped in order', () => {
  it('HEAL-14: marks every change that it acknowledged as acknowledged in its vault', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1')
    await inStep(world)
    world.links.cut('n1', 'n2')
    await until(world, () => world.actives().length === 2, 60_000)
    await write(world, 'n2', 'data/other', { ack: 'local' })
    for (let file = 0; file < 3; file += 1)
      await write(world, 'n1', `data/f${file}`, { ack: 'local' })
    // Stopped at once, before the acknowledged mark was due.
    await world.settle(world.stop('n1'))
    world.links.heal()
    world.start('n1')
    await until(world, () => eventsOf(world, 'n1', 'vaulted').length === 1, 60_000)
    expect(eventsOf(world, 'n1', 'vaulted')).toMatchObject([{ lostAcks: 3, unknownAcks: 0 }])
    quit(world)
  })
})

describe('strangers', () => {
  it('SES-25: a node with a wrong secret gets no data, and both sides report it', async () => {
    const world = watched({
      nodes: 2,
      secure: false,
      choices: { secret: 'the secret of this cluster' },
      intruderKnows: 'another secret altogether',
    })
    world.startAll()
    const { intruder } = world
    if (intruder === undefined) throw new Error('no intruder')
    world.start(intruder.id, intruder)
    await inStep(world)
    await write(world, 'n1')
    await world.run(5_000)
    expect(eventsOf(world, 'n1', 'refused')).toContainEqual(
      expect.objectContaining({ code: 'HANDSHAKE_FAILED' }),
    )
    expect(intruder.storage.outside.list()).toEqual([])
    world.kill('stranger', intruder)
    await allIsWell(world)
  })

  it('GEN-1: a write on a standby is refused and names the active', async () => {
    const world = await settled({ nodes: 2 })
    const refused = await write(world, 'n2')
    expect(code(refused)).toBe('NOT_ACTIVE')
    await allIsWell(world)
  })
})
