/** What the data plane asks of a policy. */
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

/** Whether a folder above the path is itself a path of a synced class. */
export function hasSyncedParent(policy: SyncPolicy, path: string): boolean {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    if (syncedClassOf(policy, path.slice(0, at)) !== undefined) return true
  }
  return false
}
