import { describe, expect, it, vi } from 'vitest'
import {
  appState,
  type ClusterNode,
  type ClusterNodeOptions,
  neverSynced,
  SyncPolicy,
  synced,
} from '../../src/index.js'
import { systemClock } from '../../src/node/contract/resolve-options.js'
import { type MemoryStorage, memory } from '../../src/storage/memory.js'
import { nodesOn } from './nodes.js'

// Whole nodes on the real clock, on a network and disks in memory: what an application sees.

const nodeOf = nodesOn()

interface Machine {
  readonly node: ClusterNode
  readonly state: Map<string, unknown>
  readonly storage: MemoryStorage
}

function machineOf(
  id: string,
  storage = memory(),
  given: Partial<ClusterNodeOptions> = {},
): Machine {
  const state = new Map<string, unknown>()
  const policy = new SyncPolicy({
    files: synced('files/**'),
    state: appState({
      snapshot: () => [...state],
      restore: (snapshot) => {
        state.clear()
        for (const [key, value] of snapshot as [string, unknown][]) state.set(key, value)
      },
      apply: ({ key, value }: { key: string; value: unknown }) => {
        state.set(key, value)
      },
    }),
    local: neverSynced(['properties.txt', 'logs/**'], { reason: 'differs per machine' }),
  })
  return { node: nodeOf(id, { storage, policy, ...given }), state, storage }
}

async function put(machine: Machine, path: string, text: string): Promise<void> {
  await machine.storage.outside.write(path, Buffer.from(text))
}

async function text(machine: Machine, path: string): Promise<string> {
  return Buffer.from((await machine.storage.outside.read(path)) ?? []).toString()
}

describe('a cluster of two', () => {
  it('ROL-2: a node that finds an active restores from it and is a standby with the same data', async () => {
    const alpha = machineOf('alpha')
    await alpha.node.start()
    for (let key = 0; key < 1000; key += 1) {
      void alpha.node.update('state' as never, { key: `k${key}`, value: key } as never)
    }
    await alpha.node.files.write('files/last', 'written after the thousand')
    const beta = machineOf('beta')
    const methods: string[] = []
    beta.node.on('restored', ({ method }) => methods.push(method))
    await beta.node.start()
    expect(beta.node.role).toBe('standby')
    expect([...beta.state]).toEqual([...alpha.state])
    expect(beta.state.size).toBe(1000)
    await vi.waitFor(() => expect(methods).toEqual(['full']))
  })

  it('ROL-12: a switchover right after the active says that a standby is in sync', async () => {
    const [alpha, beta] = [machineOf('alpha'), machineOf('beta')]
    await alpha.node.start()
    const started = beta.node.start()
    await alpha.node.inSync()
    await alpha.node.switchover()
    await started
    await vi.waitFor(() => expect(beta.node.role).toBe('active'))
  })

  it('ROL-12: a signal that has aborted prevents a switchover', async () => {
    const [alpha, beta] = [machineOf('alpha'), machineOf('beta')]
    await alpha.node.start()
    await beta.node.start()
    await beta.node.inSync()
    const signal = AbortSignal.abort(new Error('too late'))
    for (const node of [alpha.node, beta.node]) {
      // On the standby the command would be refused, with nobody to catch it.
      await expect(node.switchover({ signal })).rejects.toMatchObject({ code: 'ABORTED' })
      await expect(node.takeOver({ withoutPeers: [], signal })).rejects.toMatchObject({
        code: 'ABORTED',
      })
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect([alpha.node.role, beta.node.role]).toEqual(['active', 'standby'])
    await expect(alpha.node.inSync({ signal })).resolves.toBeUndefined()
    await beta.node.stop({ signal })
    expect(beta.node.role).toBe('stopped')
  })

  it('writes that a stop interrupts end with STOPPED, large ones too', async () => {
    const { node } = machineOf('alpha')
    await node.start()
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        yield new Uint8Array(64 * 1024)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
    const large = node.files.write('files/large', endless())
    const open = node.transaction(() => new Promise(() => undefined))
    const ends = [large, open].map((work) => work.catch(({ code }) => code))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await node.stop()
    expect(await Promise.all(ends)).toEqual(['STOPPED', 'STOPPED'])
    await expect(node.files.write('files/late', '1')).rejects.toMatchObject({ code: 'STOPPED' })
  })

  it('a command while the node stops ends with STOPPED', async () => {
    const storage = memory({ clock: systemClock })
    const { node } = machineOf('alpha', storage)
    await node.start()
    storage.faults.latency = () => 100
    const stopped = node.stop({ signal: AbortSignal.abort() })
    await new Promise((resolve) => setTimeout(resolve, 20))
    const late = node.takeOver({ withoutPeers: ['beta'] })
    await expect(late).rejects.toMatchObject({ code: 'STOPPED' })
    await stopped
  })

  it('ROL-2: a node that is dialled dials back immediately', async () => {
    // Alpha's next attempt would be five seconds after its last one.
    const rare = { heartbeatMs: 80_000, deadMs: 2_000_000, discoveryMs: 80_000 }
    await machineOf('alpha', memory(), rare).node.start()
    const beta = machineOf('beta', memory(), rare)
    const startedMs = performance.now()
    await beta.node.start()
    expect(beta.node.role).toBe('standby')
    expect(performance.now() - startedMs).toBeLessThan(2_000)
  })

  it('an update with an unknown level is refused without effect', async () => {
    const alpha = machineOf('alpha')
    await alpha.node.start()
    const change = { key: 'k', value: 1 }
    const wrong = { ack: 'x' } as never
    const update = alpha.node.update('state' as never, change as never, wrong)
    await expect(update).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    expect(alpha.state.size).toBe(0)
  })

  it('SYN-5: binary payloads of any size arrive unchanged', async () => {
    const [alpha, beta] = [machineOf('alpha'), machineOf('beta')]
    await Promise.all([alpha.node.start(), beta.node.start()])
    for (const size of [0, 1, 256, 70_000, 1_500_000]) {
      const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 31 + size) % 256)
      await alpha.node.files.write(`files/${size}`, bytes, { ack: 'all' })
      expect(Buffer.from(await beta.node.files.read(`files/${size}`)).equals(bytes)).toBe(true)
    }
  })

  it('SYN-23, SYN-24, SYN-25: settings and logs of one machine survive restore, failover and rejoin', async () => {
    let alpha = machineOf('alpha')
    const beta = machineOf('beta')
    for (const [machine, level] of [
      [alpha, 'debug'],
      [beta, 'error'],
    ] as const) {
      await put(machine, 'properties.txt', `log.level=${level}`)
      await put(machine, 'logs/server.log', `lines of ${machine.node.id}`)
    }
    await alpha.node.start()
    await alpha.node.files.write('files/a', '1')
    await beta.node.start()
    await alpha.node.stop()
    await vi.waitFor(() => expect(beta.node.role).toBe('active'), { timeout: 5000 })
    await beta.node.files.write('files/a', '2')
    alpha = machineOf('alpha', alpha.storage)
    await alpha.node.start()
    expect(Buffer.from(await alpha.node.files.read('files/a')).toString()).toBe('2')
    expect(await text(alpha, 'properties.txt')).toBe('log.level=debug')
    expect(await text(beta, 'properties.txt')).toBe('log.level=error')
    expect(await text(alpha, 'logs/server.log')).toBe('lines of alpha')
    expect(await text(beta, 'logs/server.log')).toBe('lines of beta')
  })

  it('existing files are adopted once as the beginning, and copied by a restore', async () => {
    const refused = machineOf('alpha')
    await put(refused, 'files/old', 'from before')
    await expect(refused.node.start()).rejects.toMatchObject({ code: 'ADOPT_REQUIRED' })
    const alpha = machineOf('alpha', refused.storage)
    await alpha.node.start({ adopt: true })
    const beta = machineOf('beta')
    await beta.node.start()
    expect(Buffer.from(await beta.node.files.read('files/old')).toString()).toBe('from before')
    expect(alpha.node.status().position?.seq).toBe(1)
  })
})
