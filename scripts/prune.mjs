// Removes from dist what no longer has a source, so that a deleted file does not stay in the package.
// It runs after the compiler instead of emptying dist before it: whoever runs dist meanwhile is not hurt.
import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const written = /(\.js|\.d\.ts)(\.map)?$/

for (const entry of await readdir(join(root, 'dist'), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue
  const file = join(entry.parentPath, entry.name)
  const source = join(
    root,
    'src',
    file.slice(join(root, 'dist').length + 1).replace(written, '.ts'),
  )
  if (!written.test(entry.name) || !existsSync(source)) await rm(file)
}
