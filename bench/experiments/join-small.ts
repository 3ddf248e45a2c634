import type { Experiment } from '../support/experiment.js'
import { measureJoin } from '../support/join.js'
import { smallFiles } from '../support/trees.js'

export const joinSmall: Experiment = {
  name: 'join-small',
  goal: 'P1',
  title: 'an empty standby joins; 20 000 files of 1 to 16 KiB',
  target: '>= 1.3 x rsync -a and sync -f',
  run: (context) =>
    measureJoin(context, {
      name: 'join-small',
      files: smallFiles(context.quick ? 2000 : 20_000),
      goal: 1.3,
      removeAtOnce: false,
    }),
}
