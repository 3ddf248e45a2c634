// Runs test files in a workshop.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './workshop.mjs'

const run = promisify(execFile)
const testsMs = 300_000
/** Which files pass without any mutant. */
const sound = new Map()

/** Whether all tests of a file pass. */
async function passes(folder, file) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const argv = [vitest, 'run', '--project', 'unit', '--bail', '1', file]
  try {
    await run(process.execPath, argv, {
      cwd: folder,
      timeout: testsMs,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 * 1024,
    })
    return true
  } catch {
    return false
  }
}

/** The first of these files whose tests fail with the mutant, and pass without it. */
export async function failingTests(workshop, files, soundWorkshop) {
  for (const file of files) {
    if (await passes(workshop.folder, file)) continue
    if (!sound.has(file)) sound.set(file, passes(soundWorkshop.folder, file))
    if (await sound.get(file)) return file
    process.stdout.write(`${file} fails without the mutant, too\n`)
  }
  return undefined
}
