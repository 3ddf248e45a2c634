/** One node of the demo in a process of its own, as an application would use it. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ClusterNode, HotspareError, neverSynced, SyncPolicy, synced, type Tenure } from 'hotspare'
import { directory } from 'hotspare/storage/directory'
import { tcp } from 'hotspare/transport/tcp'
import { contentOf, pathOf } from './content.js'
import {
  type Ack,
  type Jobs,
  type Message,
  machineMs,
  type Plan,
  type Request,
  type Seed,
  type Seeded,
} from './messages.js'
import type { FoundFile } from './tree.js'

/** Files that are copied at the same time. */
const seedCallers = 64
/** Larger files are streamed instead of read into memory. */
const streamedBytes = 256 * 1024
/** Pause of a writer after each acknowledgement. */
const restMs = 5
/** Shortest interval between two reports of the copying, in milliseconds. */
const seedNewsMs = 50

let node: ClusterNode | undefined
let callers = 0
/** Writers that have not ended: each still waits for the acknowledgement of its last write. */
const writers = new Set<Promise<void>>()

function running(): ClusterNode {
  if (node === undefined) throw new Error('the node was not started')
  return node
}

function say(message: Message): void {
  process.send?.(message)
}

async function start({ id, members, folder, startupWaitMs }: Plan): Promise<undefined> {
  const listen = members.find((member) => member.id === id)?.address ?? ''
  const options = startupWaitMs === undefined ? {} : { startupWaitMs }
  node = new ClusterNode({
    cluster: 'demo',
    id,
    members,
    transport: tcp({ listen }),
    storage: directory(folder),
    secret: 'the shared secret of the demo',
    policy: new SyncPolicy({
      tree: synced('tree/**'),
      live: synced('live/**'),
      own: neverSynced('machine.txt', { reason: 'names the machine' }),
    }),
    logger: (event) => say({ kind: 'event', event }),
    ...options,
  })
  void node.whileActive(serve)
  await node.start()
  return undefined
}

/** The work of the application while its node is active: here, its callers write. */
async function serve(tenure: Tenure): Promise<void> {
  const work = Array.from({ length: callers }, (_, index) => {
    const writer = write(tenure, `${running().id}-${tenure.epoch}-${index}`)
    writers.add(writer)
    return writer.finally(() => writers.delete(writer))
  })
  await Promise.all(work)
}

async function write(tenure: Tenure, writer: string): Promise<void> {
  const { files } = running()
  const acks: Ack[] = []
  for (let count = 0; callers > 0 && !tenure.signal.aborted; count += 1) {
    try {
      await files.write(pathOf(writer, count), contentOf(writer, count))
      acks.push({ writer, count, atMs: machineMs() })
      say({ kind: 'acks', acks: acks.splice(0) })
    } catch (error) {
      // The role was lost before the acknowledgement, so this write was never reported as safe.
      const gone = HotspareError.is(error, 'NOT_ACTIVE') || HotspareError.is(error, 'STOPPED')
      if (!gone) say({ kind: 'writeFailed', writer, reason: String(error) })
    }
    await sleep(restMs)
  }
}

async function seed({ folder, files }: Seed): Promise<Seeded> {
  const left = files.values()
  const refused: string[] = []
  const hashes = new Map<string, string>()
  let bytes = 0
  let toldMs = machineMs()
  const copy = async (): Promise<void> => {
    for (const file of left) {
      const hash = await copyFile(folder, file)
      if (hash === undefined) {
        refused.push(file.path)
      } else {
        hashes.set(file.path, hash)
        bytes += file.bytes
      }
      if (machineMs() - toldMs < seedNewsMs) continue
      toldMs = machineMs()
      say({ kind: 'seeded', files: hashes.size, filesTotal: files.length, bytes })
    }
  }
  await Promise.all(Array.from({ length: seedCallers }, copy))
  return { bytes, hashes, refused }
}

/**
 * Returns the hash of the written bytes; undefined for a name that some platform cannot store, or
 * that conflicts with an existing one.
 */
async function copyFile(
  folder: string,
  { path, bytes, mode }: FoundFile,
): Promise<string | undefined> {
  const source = join(folder, path)
  const hash = createHash('sha256')
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for await (const piece of createReadStream(source)) {
      hash.update(piece)
      yield piece
    }
  }
  try {
    const content = bytes > streamedBytes ? pieces() : await readFile(source)
    if (content instanceof Uint8Array) hash.update(content)
    await running().files.write(`tree/${path}`, content, { mode })
    return hash.digest('hex')
  } catch (error) {
    const refused =
      HotspareError.is(error, 'PATH_INVALID') || HotspareError.is(error, 'PATH_CONFLICT')
    if (refused) return undefined
    throw error
  }
}

/** Writers start with a tenure; in a tenure that has begun already they start now. */
function beginLoad(wanted: { readonly callers: number }): undefined {
  const first = callers === 0
  callers = wanted.callers
  const { tenure } = running()
  if (first && tenure !== undefined) void serve(tenure)
  return undefined
}

async function endLoad(): Promise<undefined> {
  callers = 0
  await Promise.all(writers)
  return undefined
}

const jobs: {
  [Name in keyof Jobs]: (
    argument: Jobs[Name]['takes'],
  ) => Promise<Jobs[Name]['gives']> | Jobs[Name]['gives']
} = {
  start,
  seed,
  beginLoad,
  endLoad,
  inSync: async ({ count, limitMs }) => {
    await running().inSync({ count, signal: AbortSignal.timeout(limitMs) })
    return undefined
  },
  status: () => running().status(),
  switchover: async ({ to }) => {
    await running().switchover({ to })
    return undefined
  },
  stop: async () => {
    await running().stop()
    return undefined
  },
}

async function answer({ id, job, argument }: Request): Promise<void> {
  try {
    const value = await jobs[job](argument as never)
    say({ kind: 'answer', id, value })
  } catch (error) {
    say({ kind: 'failure', id, reason: error instanceof Error ? error.message : String(error) })
  }
}

process.on('message', (request: Request) => void answer(request))
process.once('disconnect', () => process.exit())
