import { afterEach, describe, expect, it, vi } from 'vitest'
import { ClusterNode, type ClusterNodeOptions, SyncPolicy, synced } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { memoryNetwork } from '../../src/transport/memory.js'

type Options = Partial<ClusterNodeOptions>

const network = memoryNetwork({})
const running = new Set<ClusterNode>()
let clusters = 0

/** Two nodes that find each other quickly; what is given goes into the options of the first. */
function pair(given: Options): [ClusterNode, ClusterNode] {
  clusters += 1
  const cluster = `g${clusters}`
  const members = ['alpha', 'beta'].map((id) => ({ id, address: `${cluster}-${id}` }))
  const make = (id: string, more: Options): ClusterNode =>
    new ClusterNode({
      ...{ cluster, id, members, storage: memory(), heartbeatMs: 20, deadMs: 500 },
      ...{ discoveryMs: 100, startupWaitMs: 100 },
      transport: network.transport(`${cluster}-${id}`),
      policy: new SyncPolicy({ files: synced('files/**') }),
      ...more,
    })
  const nodes: [ClusterNode, ClusterNode] = [make('alpha', given), make('beta', {})]
  for (const node of nodes) running.add(node)
  return nodes
}

afterEach(async () => {
  await Promise.all([...running].map((node) => node.stop()))
  running.clear()
})

describe('the gate before the role', () => {
  it.each([
    ['a plain boolean', () => true],
    ['a promise', async () => true],
  ])('%s from the gate is an answer', async (_, answer) => {
    const mayBecomeActive = answer as () => Promise<boolean>
    const [alpha] = pair({ gate: { mayBecomeActive } })
    await alpha.start()
    expect(alpha.role).toBe('active')
    expect(alpha.status().stuck).toBeUndefined()
  })

  it('one that throws at once is asked again, and status says why nothing goes on', async () => {
    let calls = 0
    const mayBecomeActive = (): Promise<boolean> => {
      calls += 1
      if (calls < 4) throw new Error('no lease')
      return Promise.resolve(true)
    }
    const [alpha] = pair({ gate: { mayBecomeActive } })
    const errors: unknown[] = []
    alpha.on('error', (error) => errors.push(error))
    const started = alpha.start()
    await vi.waitFor(() => expect(alpha.status().stuck).toContain('no lease'))
    await started
    expect([alpha.role, calls, errors.length]).toEqual(['active', 4, 3])
    expect(alpha.status().stuck).toBeUndefined()
  })

  it('its signal aborts when another node is active', async () => {
    let signal: AbortSignal | undefined
    const mayBecomeActive = (_epoch: number, given: AbortSignal): Promise<boolean> => {
      signal = given
      return new Promise(() => undefined)
    }
    const [alpha, beta] = pair({ gate: { mayBecomeActive } })
    const started = alpha.start()
    await vi.waitFor(() => expect(alpha.status().stuck).toContain('gate'))
    await beta.start()
    await started
    expect([alpha.role, beta.role]).toEqual(['standby', 'active'])
    expect(signal?.aborted).toBe(true)
    expect(alpha.status().stuck).toBeUndefined()
  })

  it('its signal aborts when the node stops', async () => {
    let signal: AbortSignal | undefined
    const mayBecomeActive = (_epoch: number, given: AbortSignal): Promise<boolean> => {
      signal = given
      return new Promise(() => undefined)
    }
    const [alpha] = pair({ gate: { mayBecomeActive } })
    alpha.start().catch(() => undefined)
    await vi.waitFor(() => expect(signal).toBeDefined())
    await alpha.stop()
    expect(signal?.aborted).toBe(true)
  })
})

describe('the logger', () => {
  it('one that throws keeps no event from the listeners', async () => {
    const logger = (): void => {
      throw new Error('the log is full')
    }
    const [alpha] = pair({ logger })
    const roles: string[] = []
    alpha.on('role', ({ role }) => roles.push(role))
    await alpha.start()
    expect(roles).toEqual(['discovering', 'active'])
  })
})
