import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rsyncInstalled, startRsync } from '../peers/rsync.js'
import { BenchNode, planPair } from '../support/cluster.js'
import type { BenchContext, Experiment, Findings } from '../support/experiment.js'
import type { FileChange } from '../support/node-job.js'
import {
  alternate,
  type Contestant,
  findings,
  medianOf,
  ratio,
  type Sample,
} from '../support/rounds.js'
import { makeTree, mixedFiles, type PlannedFile, seeded, totalBytes } from '../support/trees.js'

export const rejoin: Experiment = {
  name: 'rejoin',
  goal: 'P4',
  title: 'a standby comes back after 51 changes, 246 kB, in a tree of 1.6 GB',
  target: '>= 5 x rsync -a; bytes moved <= 1.2 x bytes changed',
  run,
}

const changedFiles = 50
const changedBytes = 4915
const patchedBytes = 256
const large: PlannedFile = { path: 'files/large.dat', bytes: 512 * 2 ** 20 }

async function run(context: BenchContext): Promise<Findings> {
  const files = context.quick
    ? [...mixedFiles(500, 107e6), { ...large, bytes: 64 * 2 ** 20 }]
    : [...mixedFiles(5000, 1.07e9), large]
  const folder = join(context.root, 'rejoin')
  const [first, second] = await planPair(join(folder, 'nodes'), { startupWaitMs: 300 })
  mkdirSync(first.directory, { recursive: true })
  context.log(`making ${files.length} files, ${totalBytes(files)} bytes`)
  makeTree(first.directory, files)
  const alpha = await BenchNode.prepare(first)
  await alpha.start(true)
  await alpha.ask({ kind: 'role', role: 'active' })
  await comeBack(alpha, second)
  const rsync = rsyncInstalled() ? await startRsync(folder) : undefined
  await rsync?.copy(first.directory, 'copy')
  // The changes of a round are made once, while the standby is away; then both bring their copy up
  // to date.
  let changedIn = Number.NaN
  const change = async (round: number): Promise<void> => {
    if (changedIn === round) return
    changedIn = round
    await alpha.ask({ kind: 'change', changes: changesOf(files, round) })
  }
  const contestants: Contestant[] = [
    {
      name: 'hotspare',
      run: async (round) => {
        await change(round)
        const sample = await comeBack(alpha, second)
        for (const { path } of changesOf(files, round).slice(0, changedFiles)) {
          const [here, there] = [first, second].map((plan) =>
            readFileSync(join(plan.directory, path)),
          )
          if (here === undefined || there === undefined || !here.equals(there)) {
            throw new Error(`${path} differs`)
          }
        }
        return sample
      },
    },
  ]
  if (rsync !== undefined) {
    contestants.push({
      name: 'rsync',
      run: async (round) => {
        await change(round)
        const { copyMs, durableMs, wireBytes } = await rsync.copy(first.directory, 'copy')
        return { copyMs, durableMs, wireBytes }
      },
    })
  }
  const rounds = await alternate(context, contestants, { warmUp: true })
  await alpha.stop()
  await rsync?.stop()
  const versus = ratio(rounds, ['rsync', 'copyMs'], ['hotspare', 'linkToSyncMs'])
  const changed = changedFiles * changedBytes + patchedBytes
  const movedFactor = (medianOf(rounds, 'hotspare', 'movedBytes') ?? Number.NaN) / changed
  return findings(rounds, {
    ratios: { rsync: versus },
    met: versus === undefined ? null : versus >= 5 && movedFactor <= 1.2,
    notes: [
      ...(rsync === undefined ? ['rsync is not installed'] : []),
      'linkToSyncMs: since one node heard the other; startToSyncMs: since start() of the standby',
      'movedBytes as the restored event reports them, wireBytes as rsync --stats does',
    ],
    values: { changedBytes: changed, movedFactor },
  })
}

/** 50 small files replaced by new content, and some bytes in the middle of the large one. */
function changesOf(files: readonly PlannedFile[], round: number): FileChange[] {
  const random = seeded(100 + round)
  const size = files.at(-1)?.bytes ?? 0
  const changes: FileChange[] = Array.from({ length: changedFiles }, (_, index) => ({
    kind: 'write',
    path: `files/changed/${index}.dat`,
    bytes: changedBytes,
  }))
  const offset = Math.floor(random() * (size - patchedBytes))
  return [...changes, { kind: 'patch', path: large.path, offset, bytes: patchedBytes }]
}

/** Starts the standby, waits until it is in sync, and stops it again. */
async function comeBack(alpha: BenchNode, plan: BenchNode['plan']): Promise<Sample> {
  const beta = await BenchNode.prepare(plan)
  const { calledMs } = await beta.start()
  await beta.ask({ kind: 'role', role: 'standby' })
  const inSyncMs = await alpha.ask<number>({ kind: 'inSync', members: 1 })
  const movedBytes = await beta.ask<number>({ kind: 'movedBytes' })
  // The link is up as soon as one of the two receives from the other.
  const heardMs = await Promise.all(
    [alpha, beta].map((node) => node.ask<number>({ kind: 'peerUp' })),
  )
  await beta.stop()
  const linkToSyncMs = inSyncMs - Math.min(...heardMs)
  return { linkToSyncMs, startToSyncMs: inSyncMs - calledMs, movedBytes }
}
