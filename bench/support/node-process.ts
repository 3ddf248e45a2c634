/**
 * A process that runs one node of hotspare, as an application would; it carries out the jobs of the
 * run.
 */
import { appState, ClusterNode, SyncPolicy, synced } from 'hotspare'
import { directory } from 'hotspare/storage/directory'
import { tcp } from 'hotspare/transport/tcp'
import { closedLoop, type Load, type LoadResult } from './load.js'
import {
  type FileChange,
  machineMs,
  type NodeJob,
  type NodePlan,
  type Started,
} from './node-job.js'
import { serve } from './remote.js'
import { streamUpdates, Writers } from './updates.js'

const keys = 10_000

/** The state that updates change: the first bytes of a value are its key. */
const values = new Map<number, Uint8Array>()
let applied = 0
let marked = 0
let awaited: { readonly applied: number; reached(): void } | undefined

function apply(change: Uint8Array): number {
  const key = ((change[0] ?? 0) | ((change[1] ?? 0) << 8) | ((change[2] ?? 0) << 16)) % keys
  values.set(key, change)
  applied += 1
  if (awaited !== undefined && applied >= awaited.applied) awaited.reached()
  return key
}

const hooks = {
  snapshot: (): unknown => [...values],
  restore: (snapshot: unknown): void => {
    values.clear()
    for (const [key, value] of snapshot as [number, Uint8Array][]) values.set(key, value)
  },
  apply,
}

const noState = { snapshot: (): unknown => null, restore: (): void => undefined, apply }

const policy = new SyncPolicy({
  // All three change the same values, which are restored once, by the first class.
  memory: appState<Uint8Array, number>(hooks, { durability: 'memory' }),
  disk: appState<Uint8Array, number>(noState, { durability: 'disk' }),
  stream: appState<Uint8Array, number>(noState, { durability: 'memory', ack: 'local' }),
  files: synced('files/**'),
})

type BenchClusterNode = ClusterNode<(typeof policy)['classes']>

let held: BenchClusterNode | undefined
let movedBytes = 0
let peerUpMs = 0
let writers: Writers | undefined

function node(): BenchClusterNode {
  if (held === undefined) throw new Error('no node was prepared')
  return held
}

function prepare({ id, members, directory: folder, startupWaitMs }: NodePlan): void {
  const listen = members.find((member) => member.id === id)?.address ?? ''
  held = new ClusterNode({
    cluster: 'bench',
    id,
    members,
    transport: tcp({ listen }),
    storage: directory(folder),
    secret: 'the secret of the benches',
    policy,
    ...(startupWaitMs === undefined ? {} : { startupWaitMs }),
  })
  held.on('restored', (event) => {
    movedBytes = event.bytesMoved
  })
  held.on('peerUp', () => {
    peerUpMs = machineMs()
  })
}

async function start(adopt: boolean): Promise<Started> {
  const calledMs = machineMs()
  await node().start({ adopt })
  return { calledMs, resolvedMs: machineMs() }
}

/** Resolves with the time at which the condition held, checked after each event of this name. */
function when(event: 'role' | 'standbyInSync', holds: () => boolean): Promise<number> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!holds()) return
      node().off(event, look)
      resolve(machineMs())
    }
    node().on(event, look)
    look()
  })
}

const prepared = new Map<number, readonly Uint8Array[]>()
let nextKey = 0

/**
 * A value with the next key. The values are made in advance, like the commands for the peers, and
 * never changed.
 */
function nextValue(bytes: number): Uint8Array {
  let ready = prepared.get(bytes)
  if (ready === undefined) {
    ready = Array.from({ length: keys }, (_, key) => valueWith(key, bytes))
    prepared.set(bytes, ready)
  }
  nextKey = (nextKey + 1) % keys
  return ready[nextKey] ?? valueWith(nextKey, bytes)
}

function valueWith(key: number, bytes: number): Uint8Array {
  const value = Buffer.alloc(bytes, 0x61)
  value.writeUInt32LE(key, 0)
  return value
}

async function firstWrite(className: 'memory' | 'disk'): Promise<number> {
  await when('role', () => node().role === 'active')
  await node().update(className, nextValue(100))
  return machineMs()
}

const content = Buffer.alloc(16 * 1024, 0x61)

async function writeFiles({
  prefix,
  sizes,
  durability,
  callers,
}: Extract<NodeJob, { kind: 'writeFiles' }>): Promise<LoadResult> {
  const left = sizes.entries()
  const load: Load = { callers, seconds: Number.POSITIVE_INFINITY, bytes: 0 }
  return await closedLoop(load, async () => {
    const next = left.next()
    if (next.done === true) return false
    const [index, bytes] = next.value
    const path = `${prefix}/${index}.dat`
    await node().files.write(path, content.subarray(0, bytes), { durability })
    return true
  })
}

async function change(changes: readonly FileChange[]): Promise<void> {
  for (const one of changes) {
    const bytes = Buffer.alloc(one.bytes)
    for (let at = 0; at + 4 <= bytes.length; at += 4)
      bytes.writeUInt32LE(Math.random() * 2 ** 32, at)
    if (one.kind === 'write') await node().files.write(one.path, bytes)
    else await node().files.patch(one.path, one.offset, bytes)
  }
}

function whenApplied(count: number): Promise<number> {
  return new Promise((resolve) => {
    const reached = (): void => {
      awaited = undefined
      resolve(machineMs())
    }
    awaited = { applied: marked + count, reached }
    if (applied >= marked + count) reached()
  })
}

function carryOut(job: NodeJob): unknown {
  switch (job.kind) {
    case 'prepare':
      return prepare(job.plan)
    case 'start':
      return start(job.adopt)
    case 'role':
      return when('role', () => node().role === job.role)
    case 'movedBytes':
      return movedBytes
    case 'peerUp':
      return peerUpMs
    case 'inSync':
      return when('standbyInSync', () => node().status().inSync.length >= job.members)
    case 'load':
      return closedLoop(job.load, () => node().update(job.className, nextValue(job.load.bytes)))
    case 'firstWrite':
      return firstWrite(job.className)
    case 'beginWrites': {
      const { className, load } = job
      writers = new Writers(node(), load.callers, () =>
        node().update(className, nextValue(load.bytes)),
      )
      return undefined
    }
    case 'endWrites':
      return writers?.end()
    case 'switchover':
      return node()
        .switchover({ to: job.to })
        .then(() => machineMs())
    case 'stream':
      return streamUpdates(job.count, () => node().update('stream', nextValue(job.bytes)))
    case 'mark':
      marked = applied
      return undefined
    case 'applied':
      return whenApplied(job.count)
    case 'writeFiles':
      return writeFiles(job)
    case 'change':
      return change(job.changes)
    case 'processor': {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    }
    case 'stop':
      return node().stop()
  }
}

serve<NodeJob>(async (job) => carryOut(job))
