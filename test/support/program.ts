/**
 * The program of the node processes, as JavaScript. Many are started, and each start through a
 * loader would cost half a second. It is set up as a user's project is: a folder of its own, in
 * which the package is installed.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const parts = ['node-process', 'node-jobs', 'ledger']
let built: string | undefined

/** Where a whole run of tests has it: their processes are not asked to clean up before they end. */
const inRun = 'HOTSPARE_TEST_PROGRAM'

/** The path of the program; outside a run of tests it is built at the first call. */
export function nodeProgram(): string {
  built ??= process.env[inRun]
  if (built !== undefined) return built
  const folder = mkdtempSync(join(tmpdir(), 'hotspare-program-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  built = build(folder)
  return built
}

/** Called by vitest before a run; what it answers is called after the run. */
export default function setUp(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'hotspare-program-'))
  process.env[inRun] = build(folder)
  return () => rmSync(folder, { recursive: true, force: true })
}

function build(folder: string): string {
  mkdirSync(join(folder, 'node_modules'))
  const root = fileURLToPath(new URL('../..', import.meta.url))
  symlinkSync(root, join(folder, 'node_modules/hotspare'), 'dir')
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const part of parts) {
    const source = readFileSync(new URL(`./${part}.ts`, import.meta.url), 'utf8')
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
      },
    })
    writeFileSync(join(folder, `${part}.js`), outputText)
  }
  return join(folder, 'node-process.js')
}
