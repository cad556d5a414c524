troth-assembly 1
; image b69e23a16353e558164a91d58f03dd4ced41157bf68da704685028eb28657a57
source "crash-of-one-in-several-sessions.troth"
entry main

; protocol 1e03887cf8e2f3e2b89468f68189f4e6a9e0779b4bbb4826a1b085a5cca6697e
protocol Chain(Source, Middle, Sink)
  type Source
    0: Middle ! done() -> 1
     | item(n: int) -> 0
    1: end
  type Middle
    0: Source ? done() -> 1
     | item(n: int) -> 2
     | "on crash"() -> 3
    1: Sink ! done() -> 4
    2: Sink ! item(n: int) -> 5
    3: Sink ! cut() -> 6
    4: end
    5: Sink ? took(n: int) -> 0
    6: Sink ? sorry() -> 4
  type Sink
    0: Middle ? cut() -> 1
     | done() -> 2
     | item(n: int) -> 3
    1: Middle ! sorry() -> 2
    2: end
    3: Middle ! took(n: int) -> 0

; protocol 4c7318876e70bf8e5d51c3e810a3ca2b4ccbe356c38c3edbc6c27e4f25022dd0
protocol Log(Writer, Keeper, Reader)
  type Writer
    0: Keeper within 40000000: timeout() -> 1
     | within() -> 2
    1: Keeper ! idle() -> 3
    2: Keeper ! wrote(n: int) -> 4
    3: end
    4: Keeper ! bye() -> 3
  type Keeper
    0: Writer ? idle() -> 1
     | "on crash"() -> 1
     | wrote(n: int) -> 2
    1: Reader ! nothing() -> 3
    2: Reader ! wrote(n: int) -> 4
    3: end
    4: Writer ? bye() -> 3
  type Reader
    0: Keeper ? nothing() -> 1
     | wrote(n: int) -> 1
    1: end

; protocol dfc4abae9747f613d943e5ba4f3301419b8da3f980557548ccec02cf93a162a4
protocol Plain(Left, Right)
  type Left
    0: Right ! hello() -> 1
    1: Right ? hello() -> 2
    2: end
  type Right
    0: Left ? hello() -> 1
    1: Left ! hello() -> 2
    2: end

program source(s: Chain.Source, l: Log.Writer, p: Plain.Left) registers 8
  @31  send r2 Right!hello()
  @32  set r4 = 0
       set r5 = 2
       set r7 = 1
L4:
       op r6 = ge(r4, r5)
       jump_if r6 L11
       move r3 = r4
  @33  select r0 Middle!item(r3)
  @34  yield
  @32  op r4 = add(r4, r7)
       jump L4
L11:
  @35  timer r1 L17
  @36  yield
  @37  set r4 = 1
       send r1 Keeper!wrote(r4)
  @38  send r1 Keeper!bye()
       jump L18
L17:
  @40  send r1 Keeper!idle()
L18:
  @41  select r0 Middle!done()
  @42  recv r2 Right?hello()
  @43  close r0
  @44  close r1
  @45  close r2
       halt

program middle(s: Chain.Middle) registers 5
L0:
  @49  branch r0 Source? done() -> L4
          | item(r1) -> L1
          | "on crash"() -> L6
L1:
  @51  send r0 Sink!item(r1)
  @52  recv r0 Sink?took(r2)
       jump L11
L4:
  @54  send r0 Sink!done()
  @55  jump L12
L6:
  @57  send r0 Sink!cut()
  @58  recv r0 Sink?sorry()
  @59  set r3 = "no more"
       op r4 = print(r3)
  @60  jump L12
L11:
       jump L0
L12:
  @61  close r0
       halt

program sink(s: Chain.Sink) registers 3
L0:
  @65  branch r0 Middle? cut() -> L5
          | done() -> L4
          | item(r1) -> L1
L1:
  @67  op r2 = print(r1)
  @68  send r0 Middle!took(r1)
       jump L7
L4:
  @70  jump L8
L5:
  @72  send r0 Middle!sorry()
  @73  jump L8
L7:
       jump L0
L8:
  @74  close r0
       halt

program keeper(l: Log.Keeper, p: Plain.Right) registers 3
  @77  branch r0 Writer? idle() -> L4
          | "on crash"() -> L6
          | wrote(r2) -> L1
L1:
  @79  send r0 Reader!wrote(r2)
  @80  recv r0 Writer?bye()
       jump L7
L4:
  @82  send r0 Reader!nothing()
       jump L7
L6:
  @84  send r0 Reader!nothing()
L7:
  @85  close r0
  @86  recv r1 Left?hello()
  @87  send r1 Left!hello()
  @88  close r1
       halt

program reader(l: Log.Reader) registers 4
  @91  branch r0 Keeper? nothing() -> L3
          | wrote(r1) -> L1
L1:
  @93  op r2 = print(r1)
       jump L5
L3:
  @95  set r2 = "nothing"
       op r3 = print(r2)
L5:
  @96  close r0
       halt

program main() registers 9
  @99   open Chain(r0, r1, r2)
  @100  open Log(r3, r4, r5)
  @101  open Plain(r6, r7)
  @102  spawn r8 = source(-, -, -)
        transfer r0 -> r8[0]
        transfer r3 -> r8[1]
        transfer r6 -> r8[2]
  @103  spawn r8 = middle(-)
        transfer r1 -> r8[0]
  @104  spawn r8 = sink(-)
        transfer r2 -> r8[0]
  @105  spawn r8 = keeper(-, -)
        transfer r4 -> r8[0]
        transfer r7 -> r8[1]
  @106  spawn r8 = reader(-)
        transfer r5 -> r8[0]
        halt
