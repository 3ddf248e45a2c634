/** What the data side of a node tells it, and needs from it. */

import type { CopyEvent } from '../../copy/contents/types.js'
import type { OutsideReport } from '../../copy/files/types.js'
import type { VaultIncident } from '../../copy/vault/incident.js'
import type { Term } from '../../history/position.js'
import type { Channel } from '../../protocol/channel.js'
import type { WriterEvent } from '../../replication/in-sync/types.js'
import type { IncomingEvent } from '../../replication/stream/incoming-types.js'
import type { OutgoingEvent } from '../../replication/stream/outgoing-types.js'
import type { TenureCheck } from '../../replication/write/types.js'
import type { NodeEvents } from '../contract/events.js'
import type { AdoptionResult } from './adoption.js'

/** What the data side tells the node, by the part that tells it. */
export interface ReplicaReports {
  copy(event: CopyEvent): void
  writer(event: WriterEvent): void
  incoming(event: IncomingEvent): void
  outgoing(event: OutgoingEvent): void
  vault(incident: VaultIncident): void
  /** `failedAgain`: as `failed`, for a further attempt. */
  storage(event: 'failed' | 'failedAgain' | 'recovered'): void
  /** Why what takes room is refused; undefined when it is not any more. */
  room(refusal: string | undefined): void
  /** What became of files that somebody else had changed. */
  outside(found: OutsideReport, outcome: OutsideOutcome): void
  /** So many of them are about to be taken into the history. */
  adopting(count: number): void
  /** They were taken into the history, or left, before this node became active. */
  adoption(result: AdoptionResult): void
}

export type OutsideOutcome = NodeEvents['outsideChange'][0]['outcome']

/** How a term is opened. */
export interface TermOpening {
  /** Whether no promotable member is in reach, so that writes wait for nobody. */
  readonly degraded: boolean
  readonly tenure: TenureCheck
  /** What goes with the opening takes long, and goes on. */
  progressed(): void
}

/** What the data side needs from the node. */
export interface ReplicaHooks {
  dial(peer: string, lane: 'stream' | 'bulk', signal: AbortSignal): Promise<Channel>
  promised(): Term | undefined
  /** Why a peer gets no data, or undefined. */
  refusal(peer: string): string | undefined
  readonly reports: ReplicaReports
}
