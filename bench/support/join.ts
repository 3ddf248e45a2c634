import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { rsyncInstalled, startRsync } from '../peers/rsync.js'
import { tarCopy, tarInstalled } from '../peers/tar.js'
import { BenchNode, planPair } from './cluster.js'
import type { BenchContext, Findings } from './experiment.js'
import { alternate, type Contestant, findings, ratio, reaches } from './rounds.js'
import { makeTree, type PlannedFile, removeTree, totalBytes } from './trees.js'

/** What differs between the experiments with an empty standby. */
export interface JoinPlan {
  readonly name: string
  readonly files: readonly PlannedFile[]
  /** How many times faster than `rsync -a` and a flush. */
  readonly goal: number
  /**
   * Whether copies are removed as soon as they were measured: a few large files give their memory
   * back; a mass of small ones would slow down the creation of files for minutes.
   */
  readonly removeAtOnce: boolean
}

/** Measures the join of an empty standby against copies of the same tree. */
export async function measureJoin(context: BenchContext, plan: JoinPlan): Promise<Findings> {
  const folder = join(context.root, plan.name)
  const [source, target] = await planPair(join(folder, 'nodes'), { startupWaitMs: 300 })
  mkdirSync(source.directory, { recursive: true })
  context.log(`making ${plan.files.length} files, ${totalBytes(plan.files)} bytes`)
  makeTree(source.directory, plan.files)
  const notes: string[] = []
  const rsync = rsyncInstalled() ? await startRsync(folder) : undefined
  if (rsync === undefined) notes.push('rsync is not installed')
  if (!tarInstalled()) notes.push('tar or nc is not installed')
  const alpha = await BenchNode.prepare(source)
  await alpha.start(true)
  await alpha.ask({ kind: 'role', role: 'active' })
  const done = async (directory: string): Promise<void> => {
    checkCopy(directory, plan.files)
    if (plan.removeAtOnce) await removeTree(directory)
  }
  const hotspare: Contestant = {
    name: 'hotspare',
    run: async (round) => {
      const directory = join(folder, 'nodes', `beta${round}`)
      const beta = await BenchNode.prepare({ ...target, directory })
      const { calledMs } = await beta.start()
      const standbyMs = await beta.ask<number>({ kind: 'role', role: 'standby' })
      await beta.stop()
      await done(directory)
      return { durableMs: standbyMs - calledMs }
    },
  }
  const contestants: Contestant[] = [hotspare]
  if (rsync !== undefined) {
    contestants.push({
      name: 'rsync',
      run: async (round) => {
        const { copyMs, durableMs } = await rsync.copy(source.directory, `copy${round}`)
        await done(join(rsync.folder, `copy${round}`))
        return { durableMs, copyMs }
      },
    })
  }
  if (tarInstalled()) {
    contestants.push({
      name: 'tar',
      run: async (round) => {
        const directory = join(folder, `tar${round}`)
        const { copyMs, durableMs } = await tarCopy(source.directory, directory)
        await done(directory)
        return { durableMs, copyMs }
      },
    })
  }
  const rounds = await alternate(context, contestants, { warmUp: !plan.removeAtOnce })
  await alpha.stop()
  await rsync?.stop()
  const versus = (peer: string, measure: string): number | undefined =>
    ratio(rounds, [peer, measure], ['hotspare', 'durableMs'])
  const rsyncRatio = versus('rsync', 'durableMs')
  notes.push('ratios are at equal durability; rsyncPlain is against rsync -a without the flush')
  return findings(rounds, {
    ratios: {
      rsync: rsyncRatio,
      tar: versus('tar', 'durableMs'),
      rsyncPlain: versus('rsync', 'copyMs'),
    },
    met: reaches([[rsyncRatio, plan.goal]]),
    notes,
    values: { files: plan.files.length, bytes: totalBytes(plan.files) },
  })
}

/** Fails when the copy is incomplete, because its time would mean nothing. */
function checkCopy(directory: string, files: readonly PlannedFile[]): void {
  for (const { path, bytes } of files) {
    const { size } = statSync(join(directory, path))
    if (size !== bytes) throw new Error(`${path} has ${size} instead of ${bytes} bytes`)
  }
}
