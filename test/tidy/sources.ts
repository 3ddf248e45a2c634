/** What the tidy tests look at: the source files, and which file imports which. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The TypeScript files below a folder of the project, as paths from its root. */
export function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .filter((path) => !path.includes('node_modules'))
    .sort()
}

export function hasReadme(folder: string): boolean {
  return existsSync(join(root, folder, 'README.md'))
}

export function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/**
 * What one file imports: files of `src` as paths from it, all else as it is written. Types count.
 */
export function importsOf(path: string): string[] {
  const { importedFiles } = ts.preProcessFile(textOf(path), true, true)
  return importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith('.')) return fileName
    return join(dirname(path), fileName).replace(/\.js$/, '.ts')
  })
}
