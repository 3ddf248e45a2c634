import type { Experiment } from '../support/experiment.js'
import { measureJoin } from '../support/join.js'
import { equalFiles } from '../support/trees.js'

export const joinLarge: Experiment = {
  name: 'join-large',
  goal: 'P2',
  title: 'an empty standby joins; 4 files of 512 MiB',
  target: '>= 1.1 x rsync -a and sync -f',
  run: (context) =>
    measureJoin(context, {
      name: 'join-large',
      files: equalFiles(4, (context.quick ? 64 : 512) * 2 ** 20),
      goal: 1.1,
      removeAtOnce: true,
    }),
}
