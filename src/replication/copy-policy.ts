/** What the data plane asks of a policy. */
import type { TreeStore } from '../interfaces/storage.js'
import type { SyncPolicy } from '../policy/sync-policy.js'

/** The synced class that claims a path; undefined for paths that are never synced, unclaimed, or claimed twice. */
export function syncedClassOf(policy: SyncPolicy, path: string): string | undefined {
  try {
    const found = policy.classOf(path)
    return found?.declaration.kind === 'synced' ? found.name : undefined
  } catch {
    // Claimed by two classes: whatever is done to it would be wrong for one of them.
    return undefined
  }
}

/**
 * Whether a file in the place of a folder above the path may be removed: one that a synced class claims is of the old
 * copy, any other is not to be touched.
 */
export async function mayForce(
  tree: TreeStore,
  policy: SyncPolicy,
  path: string,
): Promise<boolean> {
  const synced: string[] = []
  const others: string[] = []
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    const above = path.slice(0, at)
    if (syncedClassOf(policy, above) === undefined) others.push(above)
    else synced.push(above)
  }
  if (synced.length === 0 || others.length === 0) return synced.length > 0
  return (await tree.stat(others)).every((found) => found === undefined)
}
