/** A process that runs one node as an application would, controlled by the test. */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  appState,
  ClusterNode,
  HotspareError,
  neverSynced,
  SyncPolicy,
  synced,
  type Tenure,
} from 'hotspare'
import { directory } from 'hotspare/storage/directory'
import { tcp } from 'hotspare/transport/tcp'
import { type Ledger, LedgerState } from './ledger.js'
import {
  type Fill,
  type Jobs,
  type Load,
  logPath,
  type Message,
  machineMs,
  type Plan,
  type Request,
  slotPath,
  type Write,
  writeKinds,
} from './node-jobs.js'

const fillCallers = 32
const ledger = new LedgerState()

const policy = new SyncPolicy({
  ledger: appState<{ writer: string; count: number }, number>({
    snapshot: () => ledger.snapshot(),
    restore: (snapshot) => ledger.restore(snapshot as Ledger),
    apply: ({ writer, count }) => ledger.apply(writer, count),
  }),
  load: synced('load/**'),
  data: synced('data/**'),
  own: neverSynced('own/**', { reason: 'belongs to the machine' }),
})

type TestClusterNode = ClusterNode<(typeof policy)['classes']>

let node: TestClusterNode | undefined
let load: Load | undefined
/** Every load has its own writers. */
let loads = 0
let under: Promise<void> = Promise.resolve()

function running(): TestClusterNode {
  if (node === undefined) throw new Error('the node was not started')
  return node
}

function say(message: Message): void {
  process.send?.(message)
}

async function start({ folder, listen, ...options }: Plan): Promise<undefined> {
  node = new ClusterNode({
    cluster: 'processes',
    secret: 'the secret of the test nodes',
    transport: tcp({ listen }),
    storage: directory(folder),
    policy,
    logger: (event) => say({ kind: 'event', event: withoutClasses(event) }),
    ...options,
  })
  void node.whileActive(serve)
  await node.start()
  return undefined
}

/**
 * Converts errors to plain objects with their fields, because messages between processes carry
 * plain data.
 */
function withoutClasses<T extends { readonly event: unknown }>(entry: T): T {
  const { event } = entry
  if (event instanceof Error) return { ...entry, event: { message: String(event) } }
  const { error } = (event ?? {}) as { error?: unknown }
  return error instanceof Error ? { ...entry, event: { message: String(error) } } : entry
}

async function serve(tenure: Tenure): Promise<void> {
  const callers = load?.callers ?? 0
  loads += 1
  const name = `${running().id}-${process.pid}-${loads}`
  under = Promise.all(
    Array.from({ length: callers }, (_, caller) => write(tenure, `${name}-${caller}`)),
  ).then(() => undefined)
  await under
}

async function write(tenure: Tenure, writer: string): Promise<void> {
  for (let count = 0; load !== undefined && !tenure.signal.aborted; count += 1) {
    const kind = writeKinds[count % writeKinds.length] ?? 'put'
    try {
      const { degraded } = await writeOnce(writer, count)
      say({ kind: 'ack', ack: { writer, count, kind, atMs: machineMs(), degraded } })
    } catch (error) {
      say({ kind: 'refused', writer, code: HotspareError.is(error) ? error.code : String(error) })
    }
    if (load !== undefined) await sleep(load.restMs)
  }
}

function writeOnce(writer: string, count: number): Promise<{ readonly degraded: boolean }> {
  const { files } = running()
  switch (writeKinds[count % writeKinds.length]) {
    case 'update':
      return running().update('ledger', { writer, count })
    case 'append':
      return files.append(logPath(writer), `${count}\n`)
    default:
      return files.write(slotPath(writer, count), `${count}\n${'.'.repeat(count % 3_000)}`)
  }
}

async function fill({ prefix, files, bytes }: Fill): Promise<undefined> {
  const left = Array.from({ length: files }, (_, at) => at).values()
  const work = async (): Promise<void> => {
    for (const at of left) await running().files.write(`${prefix}/${at}.dat`, randomBytes(bytes))
  }
  await Promise.all(Array.from({ length: fillCallers }, work))
  return undefined
}

function beginLoad(wanted: Load): undefined {
  const first = load === undefined
  load = wanted
  const { tenure } = running()
  if (first && tenure !== undefined) void serve(tenure)
  return undefined
}

const held: number[] = []

function exhaust(): number {
  try {
    for (;;) held.push(openSync('/dev/null', 'r'))
  } catch {
    return held.length
  }
}

/** Answers when the last write is settled. */
async function endLoad(): Promise<undefined> {
  load = undefined
  await under
  return undefined
}

const jobs: {
  [Name in keyof Jobs]: (
    argument: Jobs[Name]['takes'],
  ) => Promise<Jobs[Name]['gives']> | Jobs[Name]['gives']
} = {
  start,
  fill,
  beginLoad,
  endLoad,
  status: () => running().status(),
  explain: () => running().explain(),
  write: ({ path, content, ack }: Write) => running().files.write(path, content, { ack }),
  read: ({ path }) => running().files.read(path),
  remove: ({ path }) => running().files.remove(path),
  ledger: () => ledger.snapshot(),
  switchover: async (options) => {
    await running().switchover(options)
    return undefined
  },
  stop: async () => {
    await running().stop()
    return undefined
  },
  exhaust,
  release: () => {
    for (const fd of held.splice(0)) closeSync(fd)
    return undefined
  },
}

async function answer({ id, job, argument }: Request): Promise<void> {
  try {
    const value = await jobs[job](argument as never)
    say({ kind: 'answer', id, value })
  } catch (error) {
    const code = HotspareError.is(error) ? error.code : 'none'
    const message = error instanceof Error ? error.message : String(error)
    say({ kind: 'failure', id, code, message })
  }
}

process.on('message', (request: Request) => void answer(request))
process.once('disconnect', () => process.exit())
