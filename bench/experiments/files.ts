import { closeSync, fdatasyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startPair } from '../support/cluster.js'
import type { BenchContext, Experiment, Findings } from '../support/experiment.js'
import type { LoadResult } from '../support/load.js'
import type { StateClass } from '../support/node-job.js'
import { alternate, type Contestant, findings, ratio, reaches } from '../support/rounds.js'
import { smallFiles } from '../support/trees.js'

export const files: Experiment = {
  name: 'files',
  goal: 'P15',
  title: 'files.write of small files by 64 callers, against write and rename on one machine',
  target: '>= 0.5 x plain Node (the better of synchronous and 64 asynchronous callers)',
  run,
}

const callers = 64

async function run(context: BenchContext): Promise<Findings> {
  const sizes = smallFiles(context.quick ? 1000 : 5000).map(({ bytes }) => bytes)
  const folder = join(context.root, 'files')
  const pair = await startPair(folder)
  const content = Buffer.alloc(16 * 1024, 0x61)
  const fresh = (name: string, round: number): string => {
    const directory = join(folder, `${name}${round}`)
    mkdirSync(directory, { recursive: true })
    return directory
  }
  const perSecond = (startMs: number): Readonly<Record<string, number>> => ({
    filesPerSecond: (sizes.length / (performance.now() - startMs)) * 1000,
  })
  const plain = (name: string, durable: boolean): Contestant => ({
    name,
    run: async (round) => {
      const directory = fresh(name, round)
      const startMs = performance.now()
      for (const [index, bytes] of sizes.entries()) {
        const file = join(directory, `${index}.dat`)
        const descriptor = openSync(`${file}.new`, 'w')
        writeSync(descriptor, content, 0, bytes)
        if (durable) fdatasyncSync(descriptor)
        closeSync(descriptor)
        renameSync(`${file}.new`, file)
      }
      return perSecond(startMs)
    },
  })
  const own = (name: string, durability: StateClass): Contestant => ({
    name,
    run: async (round) => {
      const prefix = `files/${name}${round}`
      const job = { kind: 'writeFiles', prefix, sizes, durability, callers } as const
      const { operations, seconds, p99Micros } = await pair.alpha.ask<LoadResult>(job)
      return { filesPerSecond: operations / seconds, p99Micros }
    },
  })
  const contestants: Contestant[] = [
    own('hotspare', 'disk'),
    own('hotspare-memory', 'memory'),
    plain('node', false),
    {
      name: 'node-async',
      run: async (round) => {
        const directory = fresh('node-async', round)
        const startMs = performance.now()
        const left = sizes.entries()
        const caller = async (): Promise<void> => {
          for (const [index, bytes] of left) {
            const file = join(directory, `${index}.dat`)
            await writeFile(`${file}.new`, content.subarray(0, bytes))
            await rename(`${file}.new`, file)
          }
        }
        await Promise.all(Array.from({ length: callers }, caller))
        return perSecond(startMs)
      },
    },
    plain('node-durable', true),
  ]
  const rounds = await alternate(context, contestants, { warmUp: true })
  await pair.stop()
  const versus = (name: string, peer: string): number =>
    ratio(rounds, [name, 'filesPerSecond'], [peer, 'filesPerSecond']) ?? Number.NaN
  const best = (name: string): number => Math.min(versus(name, 'node'), versus(name, 'node-async'))
  const node = best('hotspare')
  return findings(rounds, {
    ratios: {
      node,
      nodeMemory: best('hotspare-memory'),
      nodeDurable: versus('hotspare', 'node-durable'),
    },
    met: reaches([[node, 0.5]]),
    notes: [
      'hotspare acknowledges on disk on both sides, hotspare-memory in memory on both',
      'node and node-async flush nothing, node-durable flushes each file',
    ],
  })
}
