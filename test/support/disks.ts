/** The real contents of the directories of the nodes. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The hash of every file below a node's directory, except the library's own state and the node's
 * local files.
 */
export function hashesBelow(folder: string): Record<string, string> {
  const hashes: Record<string, string> = {}
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1)
    if (!entry.isFile() || path.startsWith('.hotspare/') || path.startsWith('own/')) continue
    hashes[path] = createHash('sha256')
      .update(readFileSync(join(folder, path)))
      .digest('hex')
  }
  return hashes
}
