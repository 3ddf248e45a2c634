import { mkdirSync } from 'node:fs'
import { isListening } from '../support/machine.js'
import { findProgram, freePorts, run, until } from '../support/processes.js'
import { flushFileSystem } from '../support/trees.js'

export function tarInstalled(): boolean {
  return ['tar', 'nc', 'bash'].every((program) => findProgram([program]) !== undefined)
}

/** Copies a tree into a new folder with tar, nc and tar, then flushes the file system. */
export async function tarCopy(
  source: string,
  folder: string,
): Promise<{ readonly copyMs: number; readonly durableMs: number }> {
  const [port = 0] = await freePorts(1)
  mkdirSync(folder, { recursive: true })
  const shell = (script: string, directory: string): Promise<string> =>
    run('bash', ['-c', `set -o pipefail; ${script}`], { cwd: directory })
  const received = shell(`nc -l -N 127.0.0.1 ${port} | tar -x -f -`, folder)
  await until('nc to listen', () => isListening(port))
  const startMs = performance.now()
  const sent = shell(`tar -c -f - --exclude=./.hotspare . | nc -N 127.0.0.1 ${port}`, source)
  await Promise.all([sent, received])
  const copyMs = performance.now() - startMs
  await flushFileSystem(folder)
  return { copyMs, durableMs: performance.now() - startMs }
}
