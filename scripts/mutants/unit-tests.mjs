// Runs test files in a workshop.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root } from './workshop.mjs'

const testsMs = 300_000
/** The test files that pass without a mutant. */
const sound = new Map()

/**
 * Each is the leader of a process group, so that its workers end with it, even if a test never
 * ends.
 */
const running = new Set()
process.on('exit', () => {
  for (const child of running) endGroup(child)
})

function endGroup({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Whether all tests of a file pass. */
function passes(folder, file) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const argv = [vitest, 'run', '--project', 'unit', '--bail', '1', file]
  const child = spawn(process.execPath, argv, { cwd: folder, detached: true, stdio: 'ignore' })
  running.add(child)
  const timer = setTimeout(() => endGroup(child), testsMs)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code === 0))
  }).finally(() => {
    clearTimeout(timer)
    running.delete(child)
    endGroup(child)
  })
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
