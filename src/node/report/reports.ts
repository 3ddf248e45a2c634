/** Turns what the parts of a node report into the node's events. One place for each event. */

import type { CopyEvent } from '../../copy/contents/types.js'
import type { OutsideReport } from '../../copy/files/types.js'
import type { VaultIncident } from '../../copy/vault/incident.js'
import type { CoreEvent } from '../../core/state/types.js'
import { HotspareError } from '../../errors.js'
import type { Lag } from '../../replication/in-sync/lag-meter.js'
import type { WriterEvent } from '../../replication/in-sync/types.js'
import type { IncomingEvent } from '../../replication/stream/incoming-types.js'
import type { OutgoingEvent } from '../../replication/stream/outgoing-types.js'
import type { PeerLag } from '../contract/event-parts.js'
import type { Emit, NodeEvents } from '../contract/events.js'

export function reportCore(emit: Emit, nodeId: string, event: CoreEvent): void {
  switch (event.name) {
    case 'failover':
      return emit('failover', {
        incident: event.incident,
        from: event.from,
        to: nodeId,
        term: event.term,
      })
    case 'steppedDown':
      return emit('steppedDown', { reason: event.reason, term: event.term })
    case 'peerUp':
      return emit('peerUp', { peer: event.peer })
    case 'peerDown':
      return emit('peerDown', { peer: event.peer, cause: event.cause })
    case 'possibleLoss':
      return emit('possibleLoss', { incident: event.incident, missing: event.missing })
    case 'waiting':
      return emit('waiting', { missing: event.missing, forMs: event.forMs })
    case 'unprovenStart':
      return emit('unprovenStart', { missing: event.missing })
    case 'activeUnreachable':
      return emit('activeUnreachable', { active: event.active, heardBy: event.heardBy })
    case 'splitBrain':
      return emit('splitBrain', { incident: event.incident, actives: event.actives })
    case 'holding':
      return emit('holding', { missing: event.missing, reason: event.reason })
    case 'outdated':
      return emit('outdated', { known: event.known })
    case 'late':
      return emit('late', { lateMs: event.lateMs })
  }
}

export function reportCopy(emit: Emit, event: CopyEvent): void {
  switch (event.name) {
    case 'storageFailed':
      return emit('storageFailed', { error: event.error })
    case 'historyLost':
      return emit('historyLost', { upTo: event.upTo })
    case 'skippedPath':
      return emit('skippedPath', { path: event.path, why: event.why })
    case 'skippedPaths':
      return emit('skippedPaths', { count: event.count })
    case 'liveDatabase': {
      const { path, className } = event
      return emit('liveDatabase', { path, className, whatToDo: moveDatabase })
    }
    case 'outsideChange':
      // Reported when it is known what becomes of it.
      return
    case 'journalDamaged': {
      const what = `the journal is damaged at ${event.where}, after change ${event.seq}: ${event.why}`
      return emit('error', new HotspareError('JOURNAL_CORRUPT', what))
    }
    case 'snapshotFailed':
      return emit('snapshotFailed', { className: event.className, error: event.error })
    case 'applyFailed':
    case 'checkpointFailed':
      return emit('error', event.error)
    case 'strangerClass': {
      const what = `changes of the class ${event.className}, which this node does not have`
      return emit('error', new HotspareError('POLICY_MISMATCH', what))
    }
    case 'stateLost': {
      const what = `the state of ${event.className} could not be rebuilt: ${event.why}`
      return emit('error', new HotspareError('STORAGE_CORRUPT', what))
    }
  }
}

const moveDatabase =
  'Move the database to a path that no synced class claims, or declare it with its -wal and -shm as neverSynced; copy it with VACUUM INTO.'

/**
 * Files that changed while the node was stopped: paths that one event names; the rest is counted.
 */
const outsidePathsMax = 100

export function reportOutside(
  emit: Emit,
  outside: OutsideReport,
  outcome: NodeEvents['outsideChange'][0]['outcome'],
): void {
  const found = [...outside.unknown, ...outside.differing].map(({ path }) => path)
  const paths = [...found, ...outside.missing]
  if (paths.length === 0) return
  emit('outsideChange', { paths: paths.slice(0, outsidePathsMax), count: paths.length, outcome })
}

/** How far one is behind, as events and the status say it. */
export function peerLagOf({ lagSeq, lagBytes, lagMs }: Lag): PeerLag {
  return { changes: lagSeq, bytes: lagBytes, ms: Math.round(lagMs) }
}

export function reportWriter(emit: Emit, event: WriterEvent): void {
  switch (event.name) {
    case 'degraded':
      return emit('degraded', { blocked: event.blocked })
    case 'redundant':
      return emit('redundant', {})
    case 'standbyInSync':
      return emit('standbyInSync', { peer: event.id })
    case 'standbyLost':
      return emit('standbyLost', { peer: event.id, reason: event.reason })
    case 'writersPaced': {
      const { id, lag, changesPerSecond } = event.pace
      return emit('writersPaced', { peer: id, lag: peerLagOf(lag), changesPerSecond })
    }
    case 'writersReleased':
      return emit('writersReleased', { peer: event.id })
  }
}

export function reportIncoming(emit: Emit, target: string, event: IncomingEvent): void {
  const source = event.peer
  switch (event.name) {
    case 'started': {
      const { restoreId, method } = event.plan
      return emit('restoreStarted', { restoreId, target, source, method })
    }
    case 'complete': {
      const { restoreId, method, files, bytesMoved, ms } = event
      return emit('restored', {
        restoreId,
        target,
        source,
        method,
        files,
        bytesMoved,
        ms: Math.round(ms),
      })
    }
    default:
      return
  }
}

/** The source's side of the restores of its followers. */
export function reportOutgoing(emit: Emit, source: string, event: OutgoingEvent): void {
  const target = event.peer
  switch (event.name) {
    case 'plan': {
      const { restoreId, method } = event.plan
      return emit('restoreStarted', { restoreId, target, source, method })
    }
    case 'progress': {
      const { restoreId, method, progress } = event
      return emit('restoreProgress', { restoreId, target, source, method, ...progress })
    }
    case 'rejoined': {
      const { files, bytes: bytesMoved, ms } = event
      const { restoreId, method } = event.plan
      return emit('restored', { restoreId, target, source, method, files, bytesMoved, ms })
    }
    case 'refused':
      return
  }
}

export function reportVault(emit: Emit, incident: VaultIncident): void {
  const lostAcks = incident.changes.filter((change) => change.acknowledged === true).length
  const unknownAcks = incident.changes.length - lostAcks
  emit('vaulted', { incident, lostAcks, unknownAcks })
}
