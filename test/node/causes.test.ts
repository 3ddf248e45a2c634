import { readFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import {
  type ClusterNode,
  HotspareError,
  type NodeEvents,
  type OpenStorage,
  type Storage,
} from '../../src/index.js'
import { presentCauses, type WaitFacts } from '../../src/node/report/present-causes.js'
import { Causes, tried } from '../../src/node/roles/causes.js'
import { memory } from '../../src/storage/memory.js'
import { TestClock } from '../support/clock.js'
import { nodesOn, pairOf } from './nodes.js'

// Whatever is tried again and again in vain has a cause in status() and an event, and it goes away
// with the success.

const nodeOf = nodesOn()

const large = Buffer.alloc(300_000, 'x')

interface Machine {
  readonly node: ClusterNode
  readonly disk: ReturnType<typeof memory>
  /** Whether the disk takes no large contents: the journal has room that was claimed before. */
  takesNoObjects: boolean
  readonly told: NodeEvents['stuck'][0][]
  readonly over: NodeEvents['unstuck'][0][]
}

function machineOf(id: string): Machine {
  const disk = memory()
  const storage: Storage = {
    name: 'memory',
    open: async (owner) => withoutRoom(await disk.open(owner), () => machine.takesNoObjects),
  }
  const node = nodeOf(id, { storage })
  const machine: Machine = { node, disk, takesNoObjects: false, told: [], over: [] }
  node.on('stuck', (event) => machine.told.push(event))
  node.on('unstuck', (event) => machine.over.push(event))
  return machine
}

function withoutRoom(opened: OpenStorage, isFull: () => boolean): OpenStorage {
  const objects = new Proxy(opened.objects, {
    get(target, name, receiver) {
      if (name === 'write' && isFull())
        return () => Promise.reject(new HotspareError('STORAGE_FULL', 'no room for the object'))
      const value = Reflect.get(target, name, receiver)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return new Proxy(opened, {
    get(target, name) {
      if (name === 'objects') return objects
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe('a full disk on a standby', () => {
  it('GEN-8: is reported while it joins, and start() says what it waits for', async () => {
    const [alpha, beta] = [machineOf('alpha'), machineOf('beta')]
    await alpha.node.start()
    await alpha.node.files.write('files/a', large)
    beta.takesNoObjects = true
    const started = beta.node.start()
    await vi.waitFor(() => expect(beta.node.status().stuck).toMatch(/^STORAGE_FULL: no room/))
    expect(beta.node.status().starting).toMatch(/STORAGE_FULL: no room .* \(for \d+ ms\)$/)
    const twice = expect.objectContaining({ what: 'follow', code: 'STORAGE_FULL' })
    await vi.waitFor(() => {
      const [cause] = beta.node.status().causes
      expect(cause).toEqual(twice)
      expect(cause?.attempts).toBeGreaterThan(2)
    })
    expect(beta.told).toEqual([expect.objectContaining({ what: 'follow', code: 'STORAGE_FULL' })])
    beta.takesNoObjects = false
    await started
    expect(beta.node.status()).toMatchObject({ stuck: undefined, causes: [], starting: undefined })
    expect(beta.over).toEqual([expect.objectContaining({ what: 'follow' })])
    expect(beta.over[0]?.forMs).toBeGreaterThan(0)
  })

  it('GEN-8: is reported when large content arrives, and does not delay the active', async () => {
    const { alpha, beta } = await pairOf(machineOf)
    beta.takesNoObjects = true
    await alpha.node.files.write('files/a', large)
    await vi.waitFor(() => expect(beta.node.status().stuck).toMatch(/^STORAGE_FULL/))
    expect(beta.told.map(({ code }) => code)).toContain('STORAGE_FULL')
    beta.takesNoObjects = false
    await vi.waitFor(() => expect(beta.node.status().stuck).toBeUndefined())
    await alpha.node.inSync()
    expect(await beta.node.files.read('files/a')).toEqual(new Uint8Array(large))
  })
})

describe('a start that is pending', () => {
  it('says that it opens the storage, and what the storage waits for', async () => {
    const disk = memory()
    let go = (): void => undefined
    const storage: Storage = {
      name: 'memory',
      open: async (owner, waits) => {
        waits?.('the lock is held by somebody')
        await new Promise<void>((resolve) => {
          go = resolve
        })
        return disk.open(owner)
      },
    }
    const node = nodeOf('alpha', { storage })
    expect(node.status().starting).toBeUndefined()
    const started = node.start()
    expect(node.status()).toMatchObject({
      state: 'searching',
      starting: expect.stringMatching(/^the lock is held by somebody \(for \d+ ms\)$/),
    })
    go()
    await vi.waitFor(() => expect(node.status().starting).toMatch(/beta/))
    await started
    expect(node.status().starting).toBeUndefined()
  })

  it('says when the disk does not take what a node promises', async () => {
    const alpha = machineOf('alpha')
    const started = alpha.node.start()
    await vi.waitFor(() => expect(alpha.node.role).toBe('discovering'))
    alpha.disk.faults.full = true
    await vi.waitFor(() => expect(alpha.node.status().stuck).toMatch(/^STORAGE_FULL/))
    expect(alpha.node.status().causes[0]).toMatchObject({ what: 'facts', code: 'STORAGE_FULL' })
    await vi.waitFor(() => expect(alpha.told).toMatchObject([{ what: 'facts' }]))
    alpha.disk.faults.full = false
    await started
    expect(alpha.node.status().stuck).toBeUndefined()
    expect(alpha.over).toMatchObject([{ what: 'facts' }])
  })

  it('names the members that it does not hear and the last decision, when the search takes long', async () => {
    const gate = { mayBecomeActive: () => Promise.resolve(false) }
    const node = nodeOf('alpha', { gate, deadMs: 100, discoveryMs: 50, startupWaitMs: 50 })
    const started = node.start().catch(() => undefined)
    await vi.waitFor(() => {
      const search = node.status().causes.find(({ what }) => what === 'search')
      expect(search?.reason).toMatch(/not heard: beta \(PEER_REFUSED: .*decided last: /)
      expect(search?.forMs).toBeGreaterThan(150)
    })
    await node.stop()
    await started
  })

  it('ends with the storage: the status no longer shows a start', async () => {
    const broken = new HotspareError('STORAGE_LOCKED', 'held by another')
    const node = nodeOf('alpha', {
      storage: { name: 'memory', open: () => Promise.reject(broken) },
    })
    await expect(node.start()).rejects.toBe(broken)
    expect(node.status()).toMatchObject({ state: 'shutdown', starting: undefined })
  })
})

describe('a cause', () => {
  function causes() {
    const clock = new TestClock()
    const told: unknown[][] = []
    const made = new Causes(clock, (name, ...event) => told.push([name, ...event]))
    return { clock, told, made }
  }

  it('is reported once a minute, whatever numbers its reason contains', () => {
    const { clock, told, made } = causes()
    for (let at = 0; at < 100; at += 1) {
      made.failed('follow', { code: 'STORAGE_FULL', reason: `no room at ${at}` })
    }
    expect(told).toHaveLength(1)
    clock.advance(60_000)
    made.failed('follow', { code: 'STORAGE_FULL', reason: 'no room at 7' })
    expect(told).toHaveLength(2)
    made.over('follow')
    expect(told.at(-1)).toEqual(['unstuck', { what: 'follow', forMs: 60_000 }])
    expect(made.list([])).toEqual([])
  })

  it('that usually passes is reported when it lasts, and its end only then', () => {
    const { told, made } = causes()
    const failure = { code: undefined, reason: 'the stream ended (reset)', quiet: true }
    made.failed('follow', failure)
    expect(made.list([])).toMatchObject([{ what: 'follow', reason: failure.reason, attempts: 1 }])
    made.over('follow')
    expect(told).toEqual([])
    for (let at = 0; at < 10; at += 1) made.failed('follow', failure)
    made.over('follow')
    expect(told.map(([name]) => name)).toEqual(['stuck', 'unstuck'])
  })

  it('that was reported ends with an event, also when the node only waited meanwhile', () => {
    const { told, made } = causes()
    made.failed('promotion', { code: 'STORAGE_FULL', reason: 'no room' })
    made.waits('promotion', 'taking in 3 files that another program changed')
    made.over('promotion')
    expect(told.map(([name]) => name)).toEqual(['stuck', 'unstuck'])
  })

  it('of holding is absent while the node fetches what it held for, and returns when the fetch fails', () => {
    const { clock, made } = causes()
    const reason = 'holding: missing members may hold acknowledged writes (n2)'
    const hold = { what: 'hold', code: undefined, reason, attempts: 0, forMs: 0 }
    const listed = (phase: string | undefined): string[] => {
      const state = { peers: new Map(), round: phase === undefined ? undefined : { phase } }
      const options = { clock, deadMs: 2000, discoveryMs: 500 }
      const facts = { options, role: 'discovering', roleSinceMs: clock.now, waiting: [hold] }
      const driver = { state, atGate: undefined, explain: () => [] }
      const unreachable = (): undefined => undefined
      return presentCauses(made, { ...facts, driver, unreachable } as unknown as WaitFacts).map(
        ({ what }) => what,
      )
    }
    expect(listed(undefined)).toEqual(['hold'])
    expect(listed('asking')).toEqual(['hold'])
    expect(listed('fetching')).toEqual([])
    expect(listed(undefined)).toEqual(['hold'])
  })

  it('has a row in docs/operation.md', () => {
    const page = readFileSync(new URL('../../docs/operation.md', import.meta.url), 'utf8')
    for (const what of tried) expect(page).toMatch(new RegExp(`^\\| .*\`${what}\`.* \\|`, 'm'))
  })

  it('of the disk comes before its consequences', () => {
    const { made } = causes()
    made.failed('follow', { code: undefined, reason: 'the stream ended' })
    made.failed('storage', { code: 'STORAGE_FULL', reason: 'no room' })
    expect(made.list([]).map(({ what }) => what)).toEqual(['storage', 'follow'])
  })
})
