/** The checkers of messages and disk calls: each one is shown a broken promise. */

import { describe, expect, it } from 'vitest'
import { encodeState, stateDocument } from '../../src/copy/contents/app-states.js'
import { encodeManifest, manifestName } from '../../src/copy/switch/manifest.js'
import { frameTypes } from '../../src/replication/frame-types.js'
import type { TapListener } from '../../src/testing/simulator/checkers/checker.js'
import { isServedInTime } from '../../src/testing/simulator/loss.js'
import type { SentMessage } from '../../src/testing/simulator/machine/taps.js'
import { dirtyKey } from '../../src/testing/simulator/machine/taps.js'
import type { World } from '../../src/testing/simulator/world.js'
import { eventsOf, inStep, quit, settled, until, watched, write } from './support.js'

/** Reports to all checkers something that a node did not do. */
function pretend(world: World, call: (taps: TapListener) => void): void {
  world.tell(({ taps }) => {
    if (taps !== undefined) call(taps)
  })
}

function said(world: World, id: string, message: unknown, more: Partial<SentMessage> = {}): void {
  const sent = { to: 'n2:1', message, isAnswer: false, ...more }
  pretend(world, (taps) => taps.sent?.(world.process(id), sent))
}

/** The manifest of a restore that consists of these snapshots. */
function manifestOf(objects: readonly string[]): Uint8Array {
  const states = objects.map((object) => ({ className: 'register', object, seq: 1 }))
  const base = { history: [], seq: 0 }
  const none = { install: [], remove: [], complete: false, tombstoneFloor: 0 }
  return encodeManifest({ version: 1, restoreId: 'r', base, states, ...none })
}

/** The messages of the violations so far, which are removed. */
function complaints(world: World): string {
  const text = world.violations.map(({ checker, message }) => `${checker}: ${message}`).join('\n')
  world.violations.length = 0
  return text
}

describe('the order checker', () => {
  it('reports a promise that is sent and not durable', async () => {
    const world = await settled()
    const term = { epoch: 99, nodeId: 'n2', bootId: 'b' }
    const view = { role: 'discovering', copy: { seq: 0 } }
    said(world, 'n3', { type: 'core', body: { type: 'promise', term, view } })
    expect(complaints(world)).toContain('order: n3 promises epoch 99')
    said(world, 'n3', { type: 'core', body: { type: 'promiseRequest', term, view } })
    expect(complaints(world)).toContain('order: n3 asks for promises')
    said(world, 'n1', { type: 'core', body: { type: 'handover', offered: term, seq: 77 } })
    expect(complaints(world)).toContain('order: n1 hands over')
    said(world, 'n3', { type: 'follow', term })
    expect(complaints(world)).toContain('order: n3 follows epoch 99')
    quit(world)
  })

  it('reports a copy that grows after a promise, and a handover at a wrong position', async () => {
    const world = await settled()
    await write(world, 'n1')
    const { term } = world.process('n1').node.status()
    const promise = (seq: number): unknown => ({
      type: 'core',
      body: { type: 'promise', term, view: { role: 'discovering', copy: { seq } } },
    })
    said(world, 'n3', promise(1))
    said(world, 'n3', promise(2))
    expect(complaints(world)).toContain('n3 promised at 1, and its copy goes on to 2')
    said(world, 'n1', { type: 'core', body: { type: 'handover', offered: term, seq: 77 } })
    expect(complaints(world)).toContain('hands over at 77')
    quit(world)
  })

  it('reports data that is named before it is durable', async () => {
    const world = await settled()
    await write(world, 'n1')
    const process = world.process('n2')
    pretend(world, (taps) => taps.dirty?.(process, [dirtyKey('blobs', 'a-blob')]))
    said(world, 'n2', { type: 'blobHere', id: 'a-blob' })
    expect(complaints(world)).toContain('order: n2 says that it has blob a-blob')
    const staged = ['s0', 'forgotten'].map((name) => dirtyKey('staging', name))
    pretend(world, (taps) => taps.dirty?.(process, staged))
    // Objects that the manifest does not name are removed by the switch.
    pretend(world, (taps) => taps.document?.(process, manifestName, manifestOf([])))
    expect(complaints(world)).toBe('')
    pretend(world, (taps) => taps.document?.(process, manifestName, manifestOf(['s0'])))
    expect(complaints(world)).toContain('order: n2 switches over with staging s0')
    pretend(world, (taps) => taps.synced?.(process, 'staging', undefined))
    const state = encodeState({ bytes: new Uint8Array(1), seq: 1_000 })
    pretend(world, (taps) => taps.document?.(process, stateDocument('register'), state))
    expect(complaints(world)).toContain('order: n2 stores')
    quit(world)
  })

  it('reports a switch before the journal has the changes that were read', async () => {
    const world = await settled()
    await write(world, 'n1')
    await inStep(world)
    const process = world.process('n2')
    await world.settle(
      process.copy?.restoreSwitch.begin({ history: [], seq: 0 }) ?? Promise.resolve(),
    )
    said(world, 'n1', { results: [], seq: 50 }, { isAnswer: true })
    pretend(world, (taps) => taps.document?.(process, manifestName, manifestOf([])))
    expect(complaints(world)).toContain('what it read may reach 50')
    quit(world)
  })
})

describe('the limits checker', () => {
  it('reports too many bytes that are queued on a connection', async () => {
    const world = await settled()
    const bytes = 900 * 1024
    const queued = (type: number): void =>
      pretend(world, (taps) => taps.queued?.(world.process('n1'), 'n2:1', bytes, type))
    queued(frameTypes.answer)
    expect(complaints(world)).toBe('')
    queued(frameTypes.entry)
    expect(complaints(world)).toContain('limits: 921600 bytes wait')
    quit(world)
  })
})

describe('the in-sync checker', () => {
  it('reports a member that counts while it is restored or unknown to others, and a set that is dropped too early', async () => {
    const world = await settled()
    await write(world, 'n1')
    const process = world.process('n1')
    const tell = (name: string, event: object): void =>
      world.tell((checker) => checker.event?.(process, { name, node: 'n1', event } as never))
    tell('restoreStarted', { restoreId: 'r', target: 'n2', source: 'n1', method: 'delta' })
    expect(complaints(world)).toContain('in-sync: n2 is being restored')
    tell('standbyInSync', { peer: 'n9' })
    expect(complaints(world)).toContain('does not know of it')
    await world.run(10_000)
    tell('degraded', { blocked: false })
    expect(complaints(world)).toContain('in-sync: n1 is degraded, although n2 counted')
    quit(world)
  })

  it('does not expect a standby whose storage failed a moment ago, even in a single call', async () => {
    const world = await settled()
    await write(world, 'n1')
    await world.run(10_000)
    const process = world.process('n1')
    const degraded = { name: 'degraded', node: 'n1', event: { blocked: false } } as never
    world.machine('n2').storage.faults.failNextSync = true
    world.machine('n3').storage.faults.failNextSync = true
    await write(world, 'n1')
    await until(world, () => eventsOf(world, 'n3', 'storageRecovered').length === 1)
    world.violations.length = 0
    world.tell((checker) => checker.event?.(process, degraded))
    expect(complaints(world)).not.toContain('although')
    await inStep(world)
    await world.run(10_000)
    world.tell((checker) => checker.event?.(process, degraded))
    expect(complaints(world)).toContain('in-sync: n1 is degraded, although n2 counted')
    quit(world)
  })
})

describe('the reads checker', () => {
  it('reports half a file, content without a write, and content older than an acknowledged write', async () => {
    const world = await settled()
    const first = await write(world, 'n1', 'data/whole1')
    const second = await write(world, 'n1', 'data/whole1')
    await world.run(10)
    const process = world.process('n1')
    const read = (bytes: Uint8Array | undefined): void => {
      const record = { process, path: 'data/whole1', begunMs: world.nowMs, role: 'active', bytes }
      world.tell((checker) => checker.read?.(record))
    }
    const contentOf = ({ action }: typeof first): Uint8Array =>
      action.kind === 'put' ? action.bytes : new Uint8Array()
    read(contentOf(second))
    expect(complaints(world)).toBe('')
    read(contentOf(second).subarray(0, 10))
    expect(complaints(world)).toContain(
      'reads: a read of data/whole1 on n1 (active) gives 10 bytes',
    )
    read(contentOf(first))
    expect(complaints(world)).toContain(`although write ${second.id} was acknowledged`)
    read(undefined)
    expect(complaints(world)).toContain('gives no file')
    second.outcome = { kind: 'refused', code: 'NOT_ACTIVE' }
    read(contentOf(second))
    expect(complaints(world)).toContain('which was refused')
    quit(world)
  })
})

describe('excuses', () => {
  it('a loss is excused only by an event that names a member which had the write', async () => {
    const world = await settled()
    const record = await write(world, 'n1')
    await inStep(world)
    if (record.outcome.kind !== 'acknowledged') throw new Error('not acknowledged')
    const { receipt } = record.outcome
    const say = (missing: string[]): void => {
      const event = { name: 'possibleLoss', node: 'n3', event: { incident: 'i', missing } }
      world.tell((checker) => checker.event?.(world.process('n3'), event as never))
    }
    // Pretends that it was lost, because no copy has this position.
    const lost = { ...receipt, position: { ...receipt.position, seq: receipt.position.seq + 1 } }
    record.outcome = { kind: 'acknowledged', receipt: lost }
    say(['n2'])
    world.tell((checker) => {
      if (checker.name === 'acknowledged') void checker.quiet?.()
    })
    expect(complaints(world)).toContain('acknowledged: write')
    quit(world)

    const other = await settled()
    const kept = await write(other, 'n1')
    await inStep(other)
    const event = { name: 'possibleLoss', node: 'n3', event: { incident: 'i', missing: ['n2'] } }
    other.tell((checker) => checker.event?.(other.process('n3'), event as never))
    for (const id of ['n1', 'n2', 'n3']) other.replaceDisk(id)
    for (const id of ['n1', 'n2', 'n3']) other.powerOn(id)
    other.startAll()
    await until(other, () => other.actives().length === 1)
    other.tell((checker) => {
      if (checker.name === 'acknowledged') void checker.quiet?.()
    })
    expect(kept.outcome.kind).toBe('acknowledged')
    expect(complaints(other)).not.toContain('acknowledged: write')
    quit(other)
  })

  it('before any repair, a lost acknowledged write is reported', async () => {
    const world = await settled()
    const record = await write(world, 'n1')
    await inStep(world)
    if (record.outcome.kind !== 'acknowledged') throw new Error('not acknowledged')
    const { receipt } = record.outcome
    world.tell((checker) => checker.judge?.())
    expect(complaints(world)).toBe('')
    const lost = { ...receipt, position: { ...receipt.position, seq: 500 } }
    record.outcome = { kind: 'acknowledged', receipt: lost }
    world.tell((checker) => checker.judge?.())
    expect(complaints(world)).toContain('is not anywhere')
    quit(world)
  })
})

describe('the vault-bytes checker', () => {
  it('reports bytes in the vault that differ from the lost ones', async () => {
    const world = await settled({ nodes: 2 })
    await write(world, 'n1', 'data/file')
    await inStep(world)
    await world.settle(world.stop('n2'))
    const { storage } = world.machine('n2')
    storage.outside.write('data/file', new TextEncoder().encode('of somebody else'))
    world.start('n2')
    await inStep(world)
    const [incident] = await world.settle(world.process('n2').node.vault.list())
    const object = incident?.files[0]?.object ?? ''
    await world.quiet()
    expect(complaints(world)).toBe('')
    await world.settle(world.stop('n2'))
    const opened = await world.settle(storage.open({ nodeId: 'n2', bootId: 'thief' }))
    const slice = { name: object, offset: 0, start: 0, length: 4 }
    await world.settle(opened.objects.write('vault', new Uint8Array(4), [slice]))
    await world.settle(opened.objects.sync('vault'))
    await world.settle(opened.close())
    world.start('n2')
    await inStep(world)
    await world.quiet()
    expect(complaints(world)).toContain('vault-bytes: data/file in outside-n2')
    quit(world)
  })
})

describe('the liveness checker', () => {
  it('reports that no node serves although the missing member has no data of its own', async () => {
    const choices = { deadMs: 2_000, startupWaitMs: 3_000 }
    // The gate keeps it from serving, which the checkers do not accept as a reason.
    const world = watched({
      nodes: 2,
      choices: { ...choices, gate: { mayBecomeActive: async () => false } },
    })
    world.start('n1')
    expect(await isServedInTime(world, 'n2')).toBe(false)
    expect(complaints(world)).toContain('liveness: nobody serves')
    quit(world)
  })
})
