// A copy of the project in which a rule is broken and restored: the sources for the tests, and the
// build for the simulator.
import { rmSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { patched } from './patch.mjs'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const copied = [
  ...['src', 'dist', 'test', 'docs', 'scripts', 'README.md', 'CHANGELOG.md'],
  ...['package.json', 'tsconfig.json', 'vitest.config.ts'],
]

/** Compiles a source to the same JavaScript as the build; types are not checked. */
function compiled(source, fileName) {
  const { outputText } = ts.transpileModule(source, {
    fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  })
  return outputText
}

/** Folders that are removed when this process ends. */
const folders = new Set()
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

export class Workshop {
  #restore = async () => undefined

  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder
  }

  static async open() {
    const folder = await mkdtemp(join(tmpdir(), 'hotspare-mutant-'))
    folders.add(folder)
    for (const name of copied) await cp(join(root, name), join(folder, name), { recursive: true })
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    return new Workshop(folder)
  }

  get simulator() {
    return join(this.folder, 'dist/testing/simulator/run.js')
  }

  /** @param {import('./patch.mjs').Mutant} mutant */
  async apply(mutant) {
    const file = join(this.folder, mutant.file)
    const built = join(this.folder, mutant.file.replace(/^src\//, 'dist/').replace(/\.ts$/, '.js'))
    const [source, before] = await Promise.all([readFile(file, 'utf8'), readFile(built, 'utf8')])
    const broken = patched(source, mutant)
    this.#restore = async () => {
      await Promise.all([writeFile(file, source), writeFile(built, before)])
    }
    await writeFile(file, broken)
    await writeFile(built, compiled(broken, mutant.file))
  }

  async restore() {
    await this.#restore()
  }

  async close() {
    await rm(this.folder, { recursive: true, force: true })
    folders.delete(this.folder)
  }
}
