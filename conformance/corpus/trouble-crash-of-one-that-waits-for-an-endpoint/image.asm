troth-assembly 1
; image b15eb012f3fde93e03875ee25ff8892069fbdc8217c4c0225f6a5f37d8fea8cf
source "trouble-crash-of-one-that-waits-for-an-endpoint.troth"
entry main

; protocol 9121c91da77168ad1afffc8ac22e80cf1b4ade37ed32cb0305f529bab2b6c70b
protocol Job(C, S)
  type C
    0: S ! ask(n: int) -> 1
    1: end
  type S
    0: C ? ask(n: int) -> 1
    1: end

; protocol 54b7f5edf18622ee4c9a4226d4dc2d4b30de767577d3fce3a3167cce7453dd0b
protocol Hire(D, W)
  type D
    0: W ! take(job: Job.S) -> 1
    1: end
  type W
    0: D ? take(job: Job.S) -> 1
    1: end

program client(s: Job.C) registers 2
  @8  set r1 = 7
      send r0 S!ask(r1)
  @9  close r0
      halt

program dispatcher(h: Hire.D, job: Job.S) registers 2
  @12  send r0 W!take(r1)
  @13  close r0
       halt

program worker(h: Hire.W) registers 4
  @16  recv r0 D?take(r1)
  @17  close r0
  @18  recv r1 C?ask(r2)
  @19  op r3 = print(r2)
  @20  close r1
       halt

program main() registers 5
  @23  open Job(r0, r1)
  @24  open Hire(r2, r3)
  @25  spawn r4 = client(-)
       transfer r0 -> r4[0]
  @26  spawn r4 = dispatcher(-, -)
       transfer r2 -> r4[0]
       transfer r1 -> r4[1]
  @27  spawn r4 = worker(-)
       transfer r3 -> r4[0]
       halt
