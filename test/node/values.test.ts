import { beforeEach, describe, expect, it, vi } from 'vitest'
import { appState, type ClusterNode, SyncPolicy, synced } from '../../src/index.js'
import { memory } from '../../src/storage/memory.js'
import { nodesOn } from './nodes.js'

// What is journaled is what is carried out: on the active as on a standby, and after a restart.

const nodeOf = nodesOn()

interface Machine {
  readonly node: ClusterNode
  readonly values: unknown[]
}

function machineOf(id: string, storage = memory()): Machine {
  const values: unknown[] = []
  const node = nodeOf(id, {
    storage,
    policy: new SyncPolicy({
      files: synced('files/**'),
      state: appState<unknown, unknown>({
        snapshot: () => values,
        restore: (snapshot) => void values.splice(0, values.length, ...(snapshot as unknown[])),
        apply: (value) => {
          values.push(value)
          return value === 'map' ? new Map() : value
        },
      }),
    }),
  })
  return { node, values }
}

let disk = memory()
let alpha: Machine
let beta: Machine

const update = (value: unknown): ReturnType<ClusterNode['update']> =>
  alpha.node.update('state' as never, value as never, { ack: 'all' })

beforeEach(async () => {
  disk = memory()
  alpha = machineOf('alpha', disk)
  beta = machineOf('beta')
  await Promise.all([alpha.node.start(), beta.node.start()])
  await alpha.node.inSync()
})

function nested(depth: number): unknown {
  let value: unknown = 'x'
  for (let level = 0; level < depth; level += 1) value = { value }
  return value
}

describe('the value of an update', () => {
  it.each([
    ['a date that is none', { at: new Date('garbage') }],
    ['too deep', nested(101)],
    ['a map with objects as keys', new Map([[{ a: 1 }, 2]])],
    ['a typed array', new Float32Array([1, 2])],
    ['a class instance', new (class Note {})()],
  ])('%s: is refused by itself, and nothing else suffers', async (_what, value) => {
    const refusal = { code: 'VALUE_INVALID' }
    const [before, bad, after] = await Promise.allSettled([update(1), update(value), update(2)])
    expect([before.status, after.status]).toEqual(['fulfilled', 'fulfilled'])
    expect(bad).toMatchObject({ status: 'rejected', reason: refusal })
    const together = alpha.node.transaction((tx) => tx.update('state' as never, value as never))
    await expect(together).rejects.toMatchObject(refusal)
    expect(alpha.values).toEqual([1, 2])
    expect(beta.values).toEqual([1, 2])
    expect(alpha.node.status().inSync).toEqual(['beta'])
    await beta.node.stop()
    await alpha.node.stop()
    alpha = machineOf('alpha', disk)
    await alpha.node.start()
    expect(alpha.values).toEqual([1, 2])
  })

  it.each([
    ['-0', -0],
    ['bytes', new Uint8Array([1, 2])],
    ['a list with holes', new Array(3)],
    ['an object with a symbol', { a: 1, [Symbol('x')]: 2 }],
    ['as deep as may be', nested(100)],
    ['nested bytes', { bytes: Buffer.from('x') }],
  ])('%s: is the same on all nodes', async (_what, value) => {
    await update(value)
    await alpha.node.transaction((tx) => tx.update('state' as never, value as never))
    expect(alpha.values).toHaveLength(2)
    expect(alpha.values).toStrictEqual(beta.values)
    expect(alpha.values[0]).toStrictEqual(alpha.values[1])
  })

  it('does not change with the object of its caller', async () => {
    const note = { read: false, tags: ['x'] }
    const bytes = Buffer.from('first')
    const [{ result }, { result: same }] = await Promise.all([update(note), update(bytes)])
    note.read = true
    note.tags.push('y')
    bytes.write('SECND')
    ;(result as typeof note).tags.push('z')
    ;(same as Buffer).write('THIRD')
    expect(alpha.values).toEqual([{ read: false, tags: ['x'] }, Buffer.from('first')])
    expect(alpha.values).toStrictEqual(beta.values)
  })

  it('is answered one by one, even if several are bytes', async () => {
    const values = ['a', 'b', 'c'].map((text) => Buffer.from(text))
    const receipts = await Promise.all([...values, 1, ...values].map(update))
    expect(receipts.map(({ result }) => result)).toEqual([...values, 1, ...values])
  })

  it('is refused during a switchover as at other times, and the held writes continue', async () => {
    await vi.waitFor(() => expect(alpha.node.status().peers[0]?.role).toBe('standby'))
    const moved = alpha.node.switchover()
    const writes = [update(1), update(new Map([[{}, 1]])), update('map'), update(2)]
    const outcomes = await Promise.allSettled(writes)
    await moved
    expect(outcomes).toMatchObject([
      { value: { position: { term: { nodeId: 'beta' } }, result: 1 } },
      { reason: { code: 'VALUE_INVALID' } },
      // A result that cannot travel stays where it is; the write has happened.
      { value: { position: { seq: 2 } } },
      { value: { result: 2 } },
    ])
    expect(beta.values).toEqual([1, 'map', 2])
  })
})

describe('a change of a file', () => {
  it('that no node could decode is refused, and the journal stays readable', async () => {
    const files = alpha.node.files
    await files.write('files/a', 'a')
    const refusal = { code: 'WRITE_TOO_LARGE' }
    await expect(files.truncate('files/a', 2 ** 44 + 1)).rejects.toMatchObject(refusal)
    await expect(files.patch('files/a', 2 ** 45, 'x')).rejects.toMatchObject(refusal)
    const together = alpha.node.transaction((tx) => tx.files.truncate('files/a', 2 ** 50))
    await expect(together).rejects.toMatchObject(refusal)
    await beta.node.stop()
    await alpha.node.stop()
    alpha = machineOf('alpha', disk)
    await alpha.node.start()
    expect((await alpha.node.files.stat('files/a'))?.size).toBe(1)
  })
})
