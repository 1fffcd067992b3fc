//! Drivers, attributes and channels.

use super::*;

/// Proves: A-26.
#[test]
fn a_driver_is_registered_once_while_its_device_is_attached() {
    on_board(&Plan::straight(), |board, _| {
        const CALL: (&str, &str) = ("NdisMRegisterMiniportDriver", "A-26");
        let good = characteristics();
        assert_eq!(board.register_driver(null_mut(), &good), (FAILURE, null_mut()));
        assert_eq!(board.misuse(), [CALL], "nobody is attached");
        board.edge.ndis.open(board.device);
        type Change = fn(&mut DriverCharacteristics);
        let wrong: [(NdisStatus, Change); 7] = [
            (NdisStatus::BAD_CHARACTERISTICS, |c| c.header.kind = 0x81),
            (NdisStatus::BAD_CHARACTERISTICS, |c| c.header.revision = 0),
            (NdisStatus::BAD_CHARACTERISTICS, |c| c.header.size = 135),
            (NdisStatus::BAD_CHARACTERISTICS, |c| c.initialize = None),
            (NdisStatus::BAD_CHARACTERISTICS, |c| c.halt = None),
            (NdisStatus::BAD_VERSION, |c| c.major_ndis_version = 5),
            (NdisStatus::BAD_VERSION, |c| c.major_ndis_version = 7),
        ];
        for (status, change) in wrong {
            let mut bad = good;
            change(&mut bad);
            assert_eq!(board.register_driver(null_mut(), &bad), (status, null_mut()));
            assert_eq!(board.misuse(), [CALL]);
        }
        let none = board.register_driver(null_mut(), null());
        assert_eq!(none, (NdisStatus::BAD_CHARACTERISTICS, null_mut()));
        let high = board.at(Irql::DISPATCH, || board.register_driver(null_mut(), &good));
        assert_eq!(high, (FAILURE, null_mut()));
        // SAFETY: the pointers are NULL or good.
        let nowhere =
            unsafe { NdisMRegisterMiniportDriver(board.pdo(), null(), null_mut(), &good, null_mut()) };
        assert_eq!(said(nowhere), NdisStatus::INVALID_PARAMETER);
        assert_eq!(board.misuse(), [CALL; 3]);
        let (status, driver) = board.register_driver(null_mut(), &good);
        assert!(status == SUCCESS && !driver.is_null());
        assert_eq!(board.register_driver(null_mut(), &good), (FAILURE, null_mut()));
        assert_eq!(board.misuse(), [CALL], "once for each device");
        board.at(Irql::DISPATCH, || NdisMDeregisterMiniportDriver(driver));
        NdisMDeregisterMiniportDriver(driver);
        NdisMDeregisterMiniportDriver(driver);
        NdisMDeregisterMiniportDriver(null_mut());
        assert_eq!(board.misuse(), [("NdisMDeregisterMiniportDriver", "A-26"); 3]);
        assert_eq!(board.register_driver(null_mut(), &good).0, SUCCESS);
        board.edge.clear_device(board.device);
        assert_eq!(board.misuse(), [("LsDetachDevice", "A-26")], "it was left behind");
    });
}

/// What the miniport is told, and what it says of its NIC.
///
/// Proves: NDIS-011, NDIS-053.
#[test]
fn a_miniport_hears_of_its_channel_and_says_what_it_is_before_it_registers() {
    on_board(&Plan::straight(), |board, _| {
        const SET: (&str, &str) = ("NdisMSetMiniportAttributes", "NDIS-011");
        const REGISTER: (&str, &str) = ("NdisMRegisterDmaChannel", "NDIS-011");
        const ALIGNMENT: (&str, &str) = ("NdisMGetDmaAlignment", "NDIS-053");
        let (seat, channel) = (std::cell::Cell::new(null_mut()), std::cell::Cell::new(null_mut()));
        let play = |adapter: Pointer, told: InitParameters| {
            seat.set(adapter);
            assert_eq!((told.header.kind, told.header.size), (InitParameters::KIND, 32));
            // SAFETY: the list is there as long as the parameters are.
            let list = unsafe { *told.allocated_resources };
            let [dma] = list.descriptors;
            assert_eq!(
                (list.count, dma.kind, dma.channel, dma.request_line),
                (1, 4, 1, 0)
            );
            assert_eq!(board.register(adapter, &description()), (FAILURE, null_mut()));
            assert_eq!(board.misuse(), [REGISTER], "the attributes are not set");
            let mut other = attributes(null_mut());
            other.header.kind = 0x9f;
            assert_eq!(board.set_attributes(adapter, &other), FAILURE);
            assert_eq!(board.misuse(), [SET], "the registration attributes come first");
            let mut short = attributes(null_mut());
            short.header.size = 27;
            assert_eq!(
                board.set_attributes(adapter, &short),
                NdisStatus::INVALID_PARAMETER
            );
            short.header.kind = 0;
            assert_eq!(
                board.set_attributes(adapter, &short),
                NdisStatus::INVALID_PARAMETER
            );
            // SAFETY: NULL is allowed.
            let none = said(unsafe { NdisMSetMiniportAttributes(adapter, null()) });
            assert_eq!(none, NdisStatus::INVALID_PARAMETER);
            assert_eq!(board.misuse(), [("NdisMSetMiniportAttributes", "A-26"); 3]);
            assert_eq!(board.set_attributes(null_mut(), &attributes(null_mut())), FAILURE);
            assert_eq!(board.misuse(), [SET], "it is no adapter");
            assert_eq!(board.set_attributes(adapter, &attributes(null_mut())), SUCCESS);
            assert_eq!(board.set_attributes(adapter, &other), SUCCESS);
            assert_eq!(NdisMGetDmaAlignment(adapter), 1);
            assert_eq!(NdisMGetDmaAlignment(null_mut()), 1);
            assert_eq!(board.misuse(), [ALIGNMENT; 2], "no channel is registered");
            let (status, made) = board.register(adapter, &description());
            channel.set(made);
            assert!(NdisMGetDmaAlignment(adapter).is_power_of_two());
            assert_eq!(board.at(Irql::DISPATCH, || NdisMGetDmaAlignment(adapter)), 1);
            assert_eq!(board.misuse(), [("NdisMGetDmaAlignment", "A-26")]);
            // Refused earlier, so it is to give back what it has and to fail.
            NdisMDeregisterDmaChannel(made);
            assert_eq!(status, SUCCESS);
            FAILURE
        };
        let mut script = Script {
            initialize: Box::new(play),
            halt: Box::new(|| panic!("it did not initialise")),
        };
        let (driver, started) = board.attach(&mut script);
        assert_eq!(started, Err(NtStatus::UNSUCCESSFUL));
        assert_eq!(board.misuse(), []);
        assert_eq!(NdisMReadDmaCounter(channel.get()), 0);
        assert_eq!(board.misuse(), [("NdisMReadDmaCounter", "NDIS-018")]);
        assert_eq!(board.set_attributes(seat.get(), &attributes(null_mut())), FAILURE);
        assert_eq!(board.misuse(), [SET], "its device is gone");
        board.detach(driver);
    });
}

/// Proves: NDIS-010, NDIS-016, NDIS-020.
#[test]
fn a_description_that_no_channel_fits_is_refused() {
    on_board(&Plan::straight(), |board, _| {
        type Change = fn(&mut DmaDescription);
        let wrong: [Change; 3] = [|d| d.dma_port = 1, |d| d.dma_width = 3, |d| d.dma_speed = 4];
        let play = |adapter: Pointer, _| {
            assert_eq!(board.set_attributes(adapter, &attributes(null_mut())), SUCCESS);
            for change in wrong {
                let mut bad = description();
                change(&mut bad);
                assert_eq!(board.register(adapter, &bad), (FAILURE, null_mut()));
                assert_eq!(board.misuse(), [("NdisMRegisterDmaChannel", "NDIS-020")]);
            }
            assert_eq!(board.register(adapter, null()), (FAILURE, null_mut()));
            assert_eq!(board.misuse(), [("NdisMRegisterDmaChannel", "NDIS-020")]);
            // SAFETY: the pointers are NULL or good.
            let nowhere =
                unsafe { NdisMRegisterDmaChannel(null_mut(), adapter, 0, 0, &description(), LONGEST) };
            assert_eq!(said(nowhere), FAILURE);
            assert_eq!(board.misuse(), [("NdisMRegisterDmaChannel", "NDIS-010")]);
            let high = board.at(Irql::DISPATCH, || board.register(adapter, &description()));
            assert_eq!(high, (FAILURE, null_mut()));
            assert_eq!(board.misuse(), [("NdisMRegisterDmaChannel", "A-26")]);
            for (bus, flags) in [(5, RegistrationAttributes::BUS_MASTER), (-1, 0), (19, 0)] {
                let mut odd = attributes(null_mut());
                (odd.interface_type, odd.attribute_flags) = (bus, flags);
                assert_eq!(board.set_attributes(adapter, &odd), SUCCESS);
                assert_eq!(board.register(adapter, &description()), (FAILURE, null_mut()));
                assert_eq!(board.misuse(), [], "it is told in the status");
            }
            FAILURE
        };
        let mut script = Script {
            initialize: Box::new(play),
            halt: Box::new(|| {}),
        };
        let (driver, _) = board.attach(&mut script);
        board.detach(driver);
    });
}

/// Who sets every member by its name leaves what is between them as it was: the channel works, and the trace has a remark.
///
/// Proves: NDIS-020.
#[test]
fn what_is_between_the_members_of_a_description_is_only_remarked_on() {
    for (padding, remarks) in [(0, 0), (0xa5, 1)] {
        on_board(&Plan::straight(), move |board, _| {
            let given = DmaDescription {
                padding,
                ..description()
            };
            let buffer = board.buffer(16);
            board.with_channel(given, |channel| {
                assert_eq!(set_up(channel, (buffer.mdl, 0, 16, 1)), SUCCESS);
                board.wait(16);
                assert_eq!(complete(channel, (buffer.mdl, 0, 16, 1)), SUCCESS);
            });
            buffer.free();
            let remark = "the description of a DMA channel was not zeroed (NDIS-020)";
            let is = |step: &&Step| matches!(step.what, What::Event(Event::Note(note)) if note == remark);
            let noted = board.machine.look_back(|trace| trace.iter().filter(is).count());
            assert_eq!((noted, board.misuse()), (remarks, vec![]));
        });
    }
}

/// A handler that comes back at another level is brought down, and found.
///
/// Proves: A-26.
#[test]
fn a_handler_returns_at_the_level_it_was_called_at() {
    on_board(&Plan::straight(), |board, _| {
        let raise = || {
            board.edge.world.set_level(Irql::DISPATCH);
        };
        let mut script = Script {
            initialize: Box::new(|_, _| {
                raise();
                SUCCESS
            }),
            halt: Box::new(raise),
        };
        let context: Pointer = std::ptr::from_mut(&mut script).cast();
        script.initialize = Box::new(move |adapter, _| {
            board.set_attributes(adapter, &attributes(context));
            raise();
            SUCCESS
        });
        let (driver, started) = board.attach(&mut script);
        assert_eq!((started, board.edge.world.level()), (Ok(()), Irql::PASSIVE));
        assert_eq!(board.misuse(), [("MiniportInitializeEx", "A-26")]);
        NdisMDeregisterMiniportDriver(driver);
        assert_eq!(
            board.misuse(),
            [("NdisMDeregisterMiniportDriver", "A-26")],
            "it runs"
        );
        board.detach(driver);
        assert_eq!(board.edge.world.level(), Irql::PASSIVE);
        assert_eq!(board.misuse(), [("MiniportHaltEx", "A-26")]);
    });
}
