// Removes files from dist that no longer have a source, so that a deleted file does not stay in the
// package, and declarations that no entry point of the package reaches, because nothing can import
// them. It runs after the compiler instead of emptying dist before it, so that programs that use
// dist meanwhile are not affected.
import { existsSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const written = /(\.js|\.d\.ts)$/
const { exports: entries } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))

const reached = new Set()
for (const { types } of Object.values(entries)) if (types) reached.add(join(root, types))
for (const file of reached) {
  const text = await readFile(file, 'utf8')
  for (const [, specifier] of text.matchAll(/(?:from|import|import\()\s*'(\.[^']+)'/g)) {
    reached.add(join(file, '..', specifier).replace(/\.js$/, '.d.ts'))
  }
}

for (const entry of await readdir(join(root, 'dist'), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue
  const file = join(entry.parentPath, entry.name)
  const source = join(
    root,
    'src',
    file.slice(join(root, 'dist').length + 1).replace(written, '.ts'),
  )
  const isOrphan = !written.test(entry.name) || !existsSync(source)
  if (isOrphan || (file.endsWith('.d.ts') && !reached.has(file))) await rm(file)
}
