/**
 * Builds the program of the node processes as JavaScript, because many are started and each start
 * through a TypeScript loader would take half a second. It is set up like a user's project: a
 * folder in which the package is installed.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const parts = ['node-process', 'node-jobs', 'ledger']
let built: string | undefined

/**
 * The variable with the path of the program that a whole test run shares. The run cleans up once,
 * because test processes may end without cleaning up.
 */
const inRun = 'HOTSPARE_TEST_PROGRAM'

/** The path of the program; outside of a test run it is built at the first call. */
export function nodeProgram(): string {
  built ??= process.env[inRun]
  if (built !== undefined) return built
  const folder = mkdtempSync(join(tmpdir(), 'hotspare-program-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  built = build(folder)
  return built
}

/** Called by vitest before a run; the function that it returns is called after the run. */
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
