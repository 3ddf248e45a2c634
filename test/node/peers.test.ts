import { describe, expect, it, vi } from 'vitest'
import { type ClusterNode, HotspareError, SyncPolicy, synced } from '../../src/index.js'
import { resolveOptions } from '../../src/node/contract/resolve-options.js'
import { type LinkHandlers, Links } from '../../src/node/peers/links.js'
import { Refusals } from '../../src/node/peers/refusals.js'
import { memory } from '../../src/storage/memory.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { TestClock } from '../support/clock.js'
import { addressOf, nodesOn } from './nodes.js'

const network = memoryNetwork({})
const nodeOf = nodesOn(network)

describe('two processes with one id', () => {
  it('a node that hears both reports them once, with a code', async () => {
    const alpha = nodeOf('alpha')
    const beta = nodeOf('beta', { discoveryMs: 5_000, startupWaitMs: 5_000 })
    const told: unknown[] = []
    beta.on('duplicateId', (event) => told.push(event))
    await alpha.start()
    await beta.start()
    await beta.inSync()
    const twin = nodeOf('alpha', { transport: network.transport('elsewhere.test') })
    await twin.start()
    await vi.waitFor(() => expect(told).not.toEqual([]), { timeout: 5_000 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(told).toMatchObject([{ peer: 'alpha', code: 'DUPLICATE_ID' }])
  })

  it('all three report it, and a follower of that id continues with the one at its address', async () => {
    const told: Record<string, unknown[]> = { alpha: [], beta: [], twin: [] }
    const listen = (name: string, node: ClusterNode): ClusterNode => {
      node.on('duplicateId', (event) => told[name]?.push(event))
      return node
    }
    const alpha = listen('alpha', nodeOf('alpha'))
    const beta = listen('beta', nodeOf('beta', { discoveryMs: 5_000, startupWaitMs: 5_000 }))
    await alpha.start()
    await beta.start()
    await beta.inSync()
    const twin = listen('twin', nodeOf('alpha', { transport: network.transport('elsewhere.test') }))
    const started = twin.start().catch(() => undefined)
    await vi.waitFor(
      () => {
        for (const events of Object.values(told)) expect(events).not.toEqual([])
      },
      { timeout: 8_000 },
    )
    for (const [name, events] of Object.entries(told)) {
      expect(events, name).toMatchObject([{ peer: 'alpha', code: 'DUPLICATE_ID' }])
    }
    // The last words of the one that was dropped made beta begin anew once more.
    await vi.waitFor(
      () => expect(beta.status()).toMatchObject({ role: 'standby', inSync: ['beta'] }),
      { timeout: 5_000 },
    )
    let restores = 0
    beta.on('restoreStarted', () => {
      restores += 1
    })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(restores).toBe(0)
    await alpha.files.write('files/a', 'x', { ack: 'standby' })
    expect(Buffer.from(await beta.files.read('files/a')).toString()).toBe('x')
    await twin.stop()
    await started
  })

  it('a process that replaced another is no duplicate', async () => {
    const beta = nodeOf('beta')
    const told: unknown[] = []
    beta.on('duplicateId', (event) => told.push(event))
    await beta.start()
    for (let starts = 0; starts < 3; starts += 1) {
      const alpha = nodeOf('alpha')
      await alpha.start()
      await alpha.stop()
    }
    expect(told).toEqual([])
  })
})

describe('refusals', () => {
  it('SES-25: another secret is reported once on each side, with the possible reason', async () => {
    const alpha = nodeOf('alpha', { secret: 'the secret of all members' })
    const beta = nodeOf('beta', { secret: 'not the secret of all of them' })
    const told: string[] = []
    for (const each of [alpha, beta]) {
      each.on('refused', ({ code, reason }) => {
        told.push(code)
        expect(reason).toMatch(/secret.*cluster's name/)
      })
    }
    const starting = [alpha.start(), beta.start()].map((one) => one.catch(() => undefined))
    // Whoever answers lives and may be active, so that nobody serves in its place.
    for (const each of [alpha, beta]) {
      await vi.waitFor(() => expect(each.status().stuck).toMatch(/holding: .*check the secret/))
      expect(each.status().role).toBe('discovering')
      const said = each.explain().at(-1)
      expect(said).toMatchObject({ rule: 'takeover', outcome: 'hold' })
    }
    // Each is refused by the other one, and refuses it.
    expect(told).toEqual(Array(4).fill('HANDSHAKE_FAILED'))
    await alpha.takeOver({ withoutPeers: ['beta'] })
    await vi.waitFor(() => expect(alpha.status().role).toBe('active'))
    await Promise.all([alpha.stop(), beta.stop()])
    await Promise.all(starting)
  })

  it('are reported once a minute each, and only few of them, with the number of the others', () => {
    const clock = new TestClock()
    const told: unknown[] = []
    const refusals = new Refusals(clock, (...event: unknown[]) => void told.push(event[1]))
    const tell = (key: string): void =>
      refusals.tell(key, { peer: key, code: 'CODE', reason: 'why' })
    const reasons = (): string[] =>
      told.splice(0).map((event) => (event as { reason: string }).reason)
    for (const key of ['a', 'a', 'b', 'a']) tell(key)
    expect(reasons()).toEqual(['why', 'why (and 1 more refusals since the last one told)'])
    for (let at = 0; at < 100; at += 1) tell(`stranger ${at}`)
    expect(reasons()).toHaveLength(14)
    clock.advance(59_999)
    tell('late')
    expect(reasons()).toEqual([])
    clock.advance(1)
    tell('late')
    expect(reasons()).toEqual([`why (and ${100 - 14 + 1} more refusals since the last one told)`])
  })

  it('another policy is reported once on each side, and an order may take over without its active', async () => {
    const alpha = nodeOf('alpha')
    const beta = nodeOf('beta', { policy: new SyncPolicy({ other: synced('other/**') }) })
    const told: unknown[] = []
    for (const each of [alpha, beta]) {
      each.on('refused', ({ peer, code }) => told.push([each.id, peer, code]))
    }
    await alpha.start()
    await alpha.files.write('files/a', 'x', { ack: 'local' })
    const starting = beta.start()
    await vi.waitFor(() => expect(beta.status().stuck).toContain('POLICY_MISMATCH'))
    // It is tried again and again.
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(told.sort()).toEqual([
      ['alpha', 'beta', 'POLICY_MISMATCH'],
      ['beta', 'alpha', 'POLICY_MISMATCH'],
    ])
    await alpha.stop()
    // It has heard of a change that it could not get.
    await vi.waitFor(() => expect(beta.status().stuck).toContain('holding'))
    await beta.takeOver({ withoutPeers: ['alpha'] })
    await starting
    expect(beta.role).toBe('active')
  })
})

describe('a member that cannot be dialled as configured', () => {
  it('is reported once, and status says why a node that hears it gets no data', async () => {
    const alpha = nodeOf('alpha')
    const why = 'alpha.test cannot be reached: nobody knows this name'
    const dial = (): Promise<never> =>
      Promise.reject(new HotspareError('PEER_UNREACHABLE', why, { details: { reason: 'setUp' } }))
    const transport = { ...network.transport(addressOf('beta')), dial }
    const beta = nodeOf('beta', { transport, discoveryMs: 5_000, startupWaitMs: 5_000 })
    const told: unknown[] = []
    beta.on('refused', ({ peer, code }) => told.push([peer, code]))
    await alpha.start()
    const starting = beta.start().catch(() => undefined)
    await vi.waitFor(() => expect(beta.role).toBe('restoring'))
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(beta.status().stuck).toContain(why)
    expect(beta.status().peers[0]?.unreachable).toContain('PEER_UNREACHABLE')
    expect(alpha.status().peers[0]?.unreachable).toBeUndefined()
    expect(told).toEqual([['alpha', 'PEER_UNREACHABLE']])
    await beta.stop()
    await starting
  })
})

describe('a member whose port drops packets', () => {
  it('is reported as not answering, with the time that it was waited for', async () => {
    const dial = (_address: string, _limits: unknown, signal?: AbortSignal): Promise<never> =>
      new Promise((_resolve, reject) => {
        const givenUp = new HotspareError('ABORTED', 'Dialling was given up')
        signal?.addEventListener('abort', () => reject(givenUp))
      })
    const transport = { ...network.transport(addressOf('beta')), dial }
    const beta = nodeOf('beta', { transport, deadMs: 100 })
    const starting = beta.start()
    await vi.waitFor(() => {
      const [alpha] = beta.status().peers
      expect(alpha?.unreachable).toMatch(/^PEER_UNREACHABLE: .*did not answer within 100 ms/)
    })
    await starting
  })
})

describe('a lane that cannot be served', () => {
  it('is closed, and nothing else is', async () => {
    const rejections: unknown[] = []
    const note = (error: unknown): void => void rejections.push(error)
    process.on('unhandledRejection', note)
    const nothing = (): void => undefined
    const handlers: LinkHandlers = {
      ...{ linkUp: nothing, linkDown: nothing, lost: nothing, dialFailed: nothing },
      ...{ refusal: nothing, core: nothing, received: nothing },
      ...{ bulk: nothing, refused: nothing, met: nothing, barred: () => undefined },
      stream: () => {
        throw new Error('cannot be served')
      },
    }
    const lanes = memoryNetwork({})
    const members = ['alpha', 'beta'].map((id) => ({ id, address: addressOf(id) }))
    const linksOf = (id: string): Links => {
      const options = resolveOptions({
        ...{ cluster: 'test', id, members, storage: memory() },
        transport: lanes.transport(addressOf(id)),
        policy: new SyncPolicy({ files: synced('files/**') }),
      })
      return new Links(options as never, `${id}-boot`, handlers)
    }
    const [server, dialler] = [linksOf('alpha'), linksOf('beta')]
    try {
      await server.listen()
      // It ends in the very moment in which it begins.
      const dialling = dialler.dial('alpha', 'stream', new AbortController().signal)
      const channel = await dialling.catch(() => undefined)
      await vi.waitFor(() => expect(channel?.closed ?? true).toBe(true))
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(rejections).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
      await Promise.all([server.close(), dialler.close()])
    }
  })
})
