import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  appState,
  ClusterNode,
  HotspareError,
  neverSynced,
  SyncPolicy,
  synced,
} from '../../src/index.js'
import { directory } from '../../src/storage/directory.js'
import { memory } from '../../src/storage/memory.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { tcp } from '../../src/transport/tcp.js'

const network = memoryNetwork({})
const running: ClusterNode[] = []

const alpha = { id: 'alpha', address: 'options-alpha' }
const beta = { id: 'beta', address: 'options-beta' }

/** A node of two with these options; what is wrong with them is the point of each test. */
function node(given: object, id = 'alpha'): ClusterNode {
  const options = {
    ...{ cluster: 'options', id, members: [alpha, beta], storage: memory() },
    ...{ heartbeatMs: 20, deadMs: 500, discoveryMs: 100, startupWaitMs: 100 },
    transport: network.transport(`options-${id}`),
    policy: new SyncPolicy({ files: synced('files/**') }),
    ...given,
  }
  const made = new ClusterNode(options)
  running.push(made)
  return made
}

const hooks = { snapshot: () => 0, restore: () => undefined, apply: () => 0 }

function refusal(make: () => unknown): { code: string; option: unknown; message: string } {
  try {
    make()
  } catch (error) {
    if (!HotspareError.is(error)) throw error
    return { code: error.code, option: error.details.option, message: error.message }
  }
  throw new Error('it was accepted')
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()))
})

describe('options of a node', () => {
  const gate = (): boolean => true
  it.each([
    ['transport', { transport: 'tcp' }],
    ['transport', { transport: null }],
    ['transport', { transport: tcp }],
    ['storage', { storage: './data' }],
    ['storage', { storage: null }],
    ['policy', { policy: { files: synced('files/**') } }],
    ['policy', { policy: null }],
    ['gate', { gate }],
    ['clock', { clock: {} }],
    ['random', { random: {} }],
    ['logger', { logger: 'console' }],
    ['allowStale', { allowStale: 'false' }],
    ['appVersion', { appVersion: 5 }],
    ['secret', { secret: 1234567890123456 }],
    ['secret', { secret: null }],
    ['secret', { secret: Array(20).fill(1) }],
    ['secret', { secret: undefined }],
    ['members', { members: [alpha, { ...beta, address: alpha.address }] }],
    ['members', { members: [alpha, { ...beta, observer: 'yes' }] }],
    ['members', { members: {} }],
    ['observers', { members: [alpha, { ...beta, observers: true }] }],
    ['members', { transport: tcp({ listen: '127.0.0.1:0' }) }],
    ['heartbeatMs', { heartbeatMs: '200' }],
    ['deadMs', { deadMs: 30 }],
    ['discoveryMs', { discoveryMs: 19 }],
    ['frameBytesMax', { frameBytesMax: 1.5 }],
    ['frameBytesMax', { frameBytesMax: 128 * 1024 }],
    ['order', { order: null }],
    ['foo', { foo: 1 }],
  ])('%s: %o is refused by name', (option, given) => {
    expect(refusal(() => node(given))).toMatchObject({ code: 'OPTION_INVALID', option })
  })

  it('a value that is no object is refused, too', () => {
    for (const given of [{ members: [null] }, { members: ['alpha'] }]) {
      expect(refusal(() => node(given)).code).toBe('OPTION_INVALID')
    }
    const none = undefined as never
    expect(refusal(() => new ClusterNode(none))).toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining('ClusterNode needs options'),
    })
  })

  it.each([
    [{ transport: 'tcp' }, 'wanted a transport such as tcp({ listen })'],
    [{ storage: './data' }, 'wanted a storage such as directory(path)'],
    [{ storage: undefined }, 'wanted a storage such as directory(path)'],
    [{ policy: { files: synced('files/**') } }, 'wanted new SyncPolicy({'],
    [{ members: [{ ...alpha, id: '-alpha' }] }, 'wanted a letter or digit, and up to 63'],
    [
      {
        transport: tcp({ listen: '127.0.0.1:0' }),
        members: [
          { ...alpha, address: 'a:1' },
          { ...beta, address: 'b' },
        ],
      },
      'the member beta: the address is "b", wanted host:port',
    ],
    [
      {
        transport: tcp({ listen: '127.0.0.1:0' }),
        members: [
          { ...alpha, address: 'http://host:1' },
          { ...beta, address: 'b:1' },
        ],
      },
      'the member alpha: the address is "http://host:1", wanted host:port',
    ],
  ])('%o is refused with what is wanted', (given, wanted) => {
    expect(refusal(() => node(given)).message).toContain(wanted)
  })

  it('a misspelt name is refused with a suggestion', () => {
    const { message } = refusal(() => node({ heartBeatMs: 100 }))
    expect(message).toContain('did you mean heartbeatMs?')
    const acks = { acks: 'all' } as object
    expect(refusal(() => synced('files/**', acks)).message).toContain('did you mean ack?')
    expect(refusal(() => node({ onNoStandBy: 'block' })).message).toContain('onNoStandby?')
    expect(refusal(() => node({ foo: 1 })).message).not.toContain('did you mean')
  })

  it.each([
    ['tcp()', () => tcp({ listening: '127.0.0.1:0' } as object)],
    ['directory()', () => directory('/nowhere', { thread: false } as object)],
    [
      'neverSynced()',
      () => neverSynced('*', { reason: 'local', why: 'too' } as { reason: string }),
    ],
  ])('%s refuses an option that it does not know', (what, make) => {
    const { code, message } = refusal(make)
    expect(code).toBe('OPTION_INVALID')
    expect(message).toContain(`${what} has no`)
  })
})

describe('options of calls', () => {
  it('ROL-12: an impossible command is an error with a code, and names the active', async () => {
    const [first, second] = [node({}), node({ discoveryMs: 5_000, startupWaitMs: 5_000 }, 'beta')]
    await first.start()
    await second.start()
    await expect(second.switchover()).rejects.toMatchObject({
      code: 'NOT_ACTIVE',
      details: { active: 'alpha' },
    })
    for (const given of [{}, { withoutPeers: ['nobody'] }]) {
      await expect(first.takeOver(given as never)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    }
    // It has the role already.
    await first.takeOver({ withoutPeers: ['beta'] })
    expect(first.role).toBe('active')
    const adpot = { adpot: true } as never
    await expect(node({}).start(adpot)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    for (const given of [null, { signals: undefined, too: 1 }]) {
      const options = given as never
      for (const call of [
        first.stop(options),
        first.switchover(options),
        first.inSync(options),
        first.takeOver(options),
        first.whileActive(() => undefined, options),
      ]) {
        await expect(call).rejects.toMatchObject({ code: 'OPTION_INVALID' })
      }
    }
    expect(first.role).toBe('active')
  })

  it('unknown names are refused, in writes as in events', async () => {
    const only = {
      members: [alpha],
      policy: new SyncPolicy({ files: synced('f/**'), state: appState(hooks) }),
    }
    const made = node(only)
    await made.start()
    const wrong = { acks: 'all' } as object
    const calls = [
      made.files.write('f/a', 'x', wrong),
      made.files.append('f/a', 'x', { mode: 0o600 } as object),
      made.files.remove('f/a', wrong),
      made.update('state' as never, 1 as never, wrong),
      made.transaction(() => undefined, wrong),
      made.vault.read('object', { from: 1 } as object),
      made.vault.remove({} as never),
      made.vault.remove(undefined as never),
      made.takeOver(undefined as never),
    ]
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    await made.files.write('f/a', 'x', { mode: 0o600 })
    for (const name of ['on', 'once'] as const) {
      const { code, message } = refusal(() => made[name]('roles' as never, () => undefined))
      expect([code, message]).toEqual(['OPTION_INVALID', expect.stringContaining('mean role?')])
    }
  })

  it('the vault of a node that does not run rejects', async () => {
    const made = node({})
    for (const call of [() => made.vault.list(), () => made.vault.read('object')]) {
      await expect(call()).rejects.toMatchObject({ code: 'NOT_STARTED' })
    }
  })

  it('an unknown hook of application state is refused, a field of a class is not', () => {
    expect(
      refusal(() => appState({ ...hooks, postion: () => undefined } as never)).message,
    ).toContain('did you mean position?')
    class Counter {
      count = 0
      snapshot = (): number => this.count
      restore = (): void => undefined
      apply = (): number => this.count
    }
    expect(appState(new Counter()).kind).toBe('appState')
  })

  it('status names the members that a starting node waits for, as long as it does', async () => {
    const first = node({ discoveryMs: 20, startupWaitMs: 20_000 })
    const started = first.start()
    await vi.waitFor(() => expect(first.status().stuck).toMatch(/waiting up to \d+ ms for beta/))
    await node({}, 'beta').start()
    await started
    expect(first.status().stuck).toBeUndefined()
  })
})
