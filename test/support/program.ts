/**
 * The program of the node processes, as JavaScript. Many are started, and each start through a loader would cost half a
 * second. It is set up as a user's project is: a folder of its own, in which the package is installed.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const parts = ['node-process', 'node-jobs', 'ledger']
let built: string | undefined

/** The path of the program, built at the first call. */
export function nodeProgram(): string {
  built ??= build()
  return built
}

function build(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hotspare-program-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
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
